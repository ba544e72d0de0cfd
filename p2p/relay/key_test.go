package relay

import (
	"bytes"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/godwit-im/godwit/p2p/local"
)

// Who may not ask a relay of somebody else is not told that none runs.
func TestUnanswered(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.EACCES)}
	if err := unanswered(refused); !errors.Is(err, ErrNotYours) || errors.Is(err, ErrNotRunning) {
		t.Error(err)
	}
	if err := unanswered(local.ErrNobody); !errors.Is(err, ErrNotRunning) {
		t.Error(err)
	}
}

// FuzzKey: a key that is read is the one that was written, and signs receipts as such a key does.
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
		want, err := k.Sign(b)
		if err != nil {
			t.Fatal(err)
		}
		s, err := newSigner(k)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Sign(b); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("signed %x, want %x (%v)", got, want, err)
		}
	})
}
