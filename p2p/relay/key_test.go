package relay

import (
	"bytes"
	"errors"
	"testing"
)

// FuzzKey: a key that is read is the one that was written.
func FuzzKey(f *testing.F) {
	f.Add(append([]byte{keyVersion}, bytes.Repeat([]byte{7}, 32)...))
	f.Add([]byte{keyVersion})
	f.Add([]byte{keyVersion + 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := parseKey(b)
		if err != nil {
			if !errors.Is(err, ErrKey) && !errors.Is(err, ErrNewer) {
				t.Fatal(err)
			}
			return
		}
		raw, err := k.Raw()
		if err != nil || !bytes.Equal(raw[:32], b[1:]) {
			t.Fatalf("%x was read as %x (%v)", b, raw, err)
		}
	})
}
