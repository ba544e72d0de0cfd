package identity

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestWycheproofEd25519(t *testing.T) {
	var file struct {
		NumberOfTests int
		TestGroups    []struct {
			PublicKey struct{ Pk hexBytes }
			Tests     []struct {
				TcID     int
				Comment  string
				Msg, Sig hexBytes
				Result   string
			}
		}
	}
	othersVectors(t, "wycheproof/ed25519_test.json", &file)
	count, valid := 0, 0
	for _, g := range file.TestGroups {
		key, err := ParseDevice(g.PublicKey.Pk)
		if err != nil {
			t.Fatalf("key %x: %v", g.PublicKey.Pk, err)
		}
		for _, v := range g.Tests {
			count++
			err := key.Verify("", v.Msg, v.Sig)
			if (err == nil) != (v.Result == "valid") {
				t.Errorf("%d (%s): %v, want %s", v.TcID, v.Comment, err, v.Result)
			}
			if err != nil && !errors.Is(err, ErrSignature) {
				t.Errorf("%d: %v is not ErrSignature", v.TcID, err)
			}
			if err == nil {
				valid++
			}
		}
	}
	if count != file.NumberOfTests || valid == 0 || valid == count {
		t.Errorf("%d tests, %d of them valid, where the file has %d", count, valid, file.NumberOfTests)
	}
}

// The vectors of CCTV are signatures about which verifiers differ. Ours is
// crypto/ed25519, which does as "ref10" did: the equation without cofactor, R
// compared as bytes, and the hash over the bytes as they came; so it accepts
// all but those with a low-order residue or a non-canonical R. That alone
// would accept keys of low order, for which anybody can sign; parsing keeps
// them out, and with them every signature that was made for one.
func TestCCTVEd25519(t *testing.T) {
	var vectors []struct {
		Number   int
		Key, Sig hexBytes
		Msg      string
		Flags    []string
	}
	othersVectors(t, "cctv/ed25519/ed25519vectors.json", &vectors)
	if len(vectors) != 914 {
		t.Errorf("%d vectors, want 914", len(vectors))
	}
	accepted, refusedKeys := 0, 0
	for i, v := range vectors {
		if v.Number != i {
			t.Fatalf("vector %d is numbered %d", i, v.Number)
		}
		has := func(flag string) bool { return slices.Contains(v.Flags, flag) }
		want := !has("low_order_residue") && !has("non_canonical_R")
		got := DevicePublic(v.Key).Verify("", []byte(v.Msg), v.Sig) == nil
		if got != want {
			t.Errorf("vector %d, %v: accepted %v, want %v", i, v.Flags, got, want)
		}
		if got {
			accepted++
		}
		_, err := ParseDevice(v.Key)
		if bad := has("low_order_A") || has("non_canonical_A"); bad != (err != nil) {
			t.Errorf("vector %d, %v: key %x: %v", i, v.Flags, v.Key, err)
		}
		if _, rootErr := ParseRoot(v.Key); !errors.Is(rootErr, err) {
			t.Errorf("vector %d: as ROOT %v, as device %v", i, rootErr, err)
		}
		if err != nil {
			refusedKeys++
		}
	}
	if accepted == 0 || refusedKeys == 0 || refusedKeys == len(vectors) {
		t.Errorf("%d accepted, %d keys refused of %d", accepted, refusedKeys, len(vectors))
	}
	t.Logf("%d of %d equations hold; %d keys refused", accepted, len(vectors), refusedKeys)
}

// Every public key that is of low order or not canonical is refused, and only
// those; every other one gives the shared secret of the file.
func TestWycheproofX25519(t *testing.T) {
	var file struct {
		NumberOfTests int
		TestGroups    []struct {
			Tests []struct {
				TcID                    int
				Comment, Result         string
				Flags                   []string
				Public, Private, Shared hexBytes
			}
		}
	}
	othersVectors(t, "wycheproof/x25519_test.json", &file)
	count, refused := 0, 0
	for _, g := range file.TestGroups {
		for _, v := range g.Tests {
			count++
			public, err := ParsePrekey(v.Public)
			bad := slices.Contains(v.Flags, "LowOrderPublic") || slices.Contains(v.Flags, "NonCanonicalPublic")
			if bad {
				refused++
				if !errors.Is(err, ErrKey) {
					t.Errorf("%d (%s): %v, want ErrKey", v.TcID, v.Comment, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%d (%s): %v", v.TcID, v.Comment, err)
				continue
			}
			secret, err := NewPrekeyPrivate([KeySize]byte(v.Private)).Agree(public)
			if err != nil || string(secret[:]) != string(v.Shared) {
				t.Errorf("%d (%s): %x, %v, want %x", v.TcID, v.Comment, secret, err, v.Shared)
			}
			device, err := ParseAgreement(v.Public)
			if again, err2 := NewPrekeyPrivate([KeySize]byte(v.Private)).AgreeDevice(device); err != nil || err2 != nil || again != secret {
				t.Errorf("%d: as an agreement key: %v, %v", v.TcID, err, err2)
			}
		}
	}
	if count != file.NumberOfTests || refused == 0 || refused == count {
		t.Errorf("%d tests, %d refused, where the file has %d", count, refused, file.NumberOfTests)
	}
}

func TestKeysOfWrongLength(t *testing.T) {
	for _, n := range []int{0, 1, 31, 33, 64, 1184} {
		b := make([]byte, n)
		for i := range b {
			b[i] = 9
		}
		_, err1 := ParseDevice(b)
		_, err2 := ParseRoot(b)
		_, err3 := ParseAgreement(b)
		_, err4 := ParsePrekey(b)
		for _, err := range []error{err1, err2, err3, err4} {
			if !errors.Is(err, ErrKey) {
				t.Errorf("%d bytes: %v, want ErrKey", n, err)
			}
		}
	}
}

func TestAccountIDHasOneSpelling(t *testing.T) {
	id := NewRootPrivate([32]byte{7}).Public().Account()
	s := id.String()
	if got, err := ParseAccountID(s); err != nil || got != id {
		t.Fatalf("%v, %v", got, err)
	}
	// The last character carries one bit of the id: any other bit set there
	// would be a second spelling.
	for _, bad := range []string{"", s[:51], s + "a", strings.ToUpper(s), s + "=", " " + s, s[:10] + "\n" + s[10:], s[:51] + "b", s[:51] + "1"} {
		if _, err := ParseAccountID(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestPrivateKeysDoNotPrint(t *testing.T) {
	seed := [32]byte{0xab, 0xcd, 0xef}
	for _, secret := range []any{
		NewRootPrivate(seed), NewDevicePrivate(seed), NewAgreementPrivate(seed), NewPrekeyPrivate(seed),
		Invitation{Kind: Single, Secret: [16]byte{0xab, 0xcd, 0xef}},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%d", "%q"} {
			for _, v := range []any{secret, struct{ Key any }{secret}, []any{secret}} {
				out := strings.ToLower(fmt.Sprintf(verb, v))
				if strings.Contains(out, "abcdef") || strings.Contains(out, "171 205") || strings.Contains(out, "0xab") {
					t.Errorf("%T prints its bytes with %s: %s", secret, verb, out)
				}
			}
		}
	}
}
