package chat

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
)

// sampleIntro is what a session that waits for its first answer keeps.
func sampleIntro(t testing.TB) intro {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(bytes.NewReader(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	hints := []identity.Hint{{Kind: identity.HintRelay, Peer: []byte(id), Addrs: [][]byte{{4, 9, 0, 0, 1, 6, 15, 161}}}}
	return intro{identity.NewInvitation(identity.Single, identity.AccountID{1}, hints), bytes.Repeat([]byte{7}, identity.IntroSize)}
}

// What the database keeps of sessions and prekeys comes back as it was, and nothing
// else is taken for it.
func TestIntroAndPrekeysAreKept(t *testing.T) {
	in := sampleIntro(t)
	back, err := parseIntro(in.marshal())
	if err != nil || back.invitation.Link() != in.invitation.Link() || !bytes.Equal(back.key, in.key) {
		t.Errorf("an intro came back as %v, %v", back, err)
	}
	keys, err := newPrekeys()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := keys.marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := parsePrekeys(raw)
	if err != nil || again.signed != keys.signed || !bytes.Equal(again.kem.Bytes(), keys.kem.Bytes()) {
		t.Errorf("prekeys did not come back: %v", err)
	}
	for n := range raw {
		if _, err := parsePrekeys(raw[:n]); err == nil {
			t.Errorf("prekeys cut to %d bytes are taken", n)
		}
	}
	for _, odd := range [][]byte{append(bytes.Clone(raw), 0), append([]byte{2}, raw[1:]...)} {
		if _, err := parsePrekeys(odd); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("odd prekeys: %v", err)
		}
	}
	for n := range in.marshal() {
		if _, err := parseIntro(in.marshal()[:n]); err == nil {
			t.Errorf("an intro cut to %d bytes is taken", n)
		}
	}
}

func FuzzParseIntro(f *testing.F) {
	f.Add(sampleIntro(f).marshal())
	f.Add([]byte{})
	f.Add(make([]byte, 2+identity.IntroSize))
	f.Fuzz(func(t *testing.T, raw []byte) {
		in, err := parseIntro(raw)
		if err == nil && !bytes.Equal(in.marshal(), raw) {
			t.Errorf("%x is read as what is written %x", raw, in.marshal())
		}
	})
}

func FuzzParsePrekeys(f *testing.F) {
	keys, err := newPrekeys()
	if err != nil {
		f.Fatal(err)
	}
	raw, err := keys.marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		keys, err := parsePrekeys(raw)
		if err != nil {
			return
		}
		if back, err := keys.marshal(); err != nil || !bytes.Equal(back, raw) {
			t.Errorf("%x is read as what is written %x (%v)", raw, back, err)
		}
	})
}

func FuzzParseTally(f *testing.F) {
	whole := tally{begin: time.UnixMilli(946_684_800_000), count: requestsDay}.marshal()
	f.Add(whole)
	f.Add(tally{begin: time.UnixMilli(math.MaxInt64), count: math.MaxUint32}.marshal())
	f.Add(tally{begin: time.UnixMilli(math.MinInt64)}.marshal()) // years no calendar has
	f.Add(tally{begin: time.UnixMilli(-1), count: 1}.marshal())
	f.Add(append(bytes.Clone(whole), 0))
	f.Add(whole[:len(whole)-1])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := parseTally(raw)
		if err == nil != (len(raw) == len(whole)) {
			t.Errorf("%x: %v", raw, err)
		}
		if err == nil && !bytes.Equal(d.marshal(), raw) {
			t.Errorf("%x is read as %+v, which is %x", raw, d, d.marshal())
		}
	})
}
