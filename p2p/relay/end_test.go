package relay

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"
	"time"
)

// FuzzEnd reads any bytes as the end of an export: what is read is written the same way.
func FuzzEnd(f *testing.F) {
	sum := sha256.Sum256(nil)
	good := Exported{Time: time.UnixMilli(1_800_000_000_123), Cells: 7}.marshal(sum[:])
	f.Add(good)
	f.Add(append(bytes.Clone(good), 0))
	f.Add(good[:len(good)-1])
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, sum, err := parseEnd(raw)
		if err != nil {
			if !errors.Is(err, ErrExport) {
				t.Error(err)
			}
			return
		}
		if again := e.marshal(sum); !bytes.Equal(again, raw) {
			t.Errorf("%x became %x", raw, again)
		}
	})
}
