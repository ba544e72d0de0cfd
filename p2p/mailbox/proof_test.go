package mailbox

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// newClaim is a claim of a stream, with a signature that holds or not.
func newClaim(failures *atomic.Int32, good bool) *claim {
	public, key, _ := ed25519.GenerateKey(nil)
	c := &claim{public: [32]byte(public), text: []byte("this queue"), failures: failures}
	c.signature = [64]byte(ed25519.Sign(key, c.text))
	if !good {
		c.signature[0] ^= 1
	}
	return c
}

// TestClaimsTogether: whatever is verified together, each claim is judged for itself,
// and what fails is counted once, on its own stream.
func TestClaimsTogether(t *testing.T) {
	for n := range 12 {
		for wrong := -1; wrong < n; wrong++ {
			streams := make([]atomic.Int32, n)
			var claims []*claim
			for i := range n {
				claims = append(claims, newClaim(&streams[i], i != wrong))
			}
			claims = append(claims, claims...) // two deposits that rest on one
			verify(claims)
			if together <= n && wrong < 0 && claims[0].verdict.Load() == unjudged {
				t.Fatalf("%d good claims were not verified together", n)
			}
			for i, c := range claims {
				if want := i%n == wrong; errors.Is(c.outcome(), ErrSignature) != want {
					t.Fatalf("%d of %d, %d wrong: %v", i, n, wrong, c.outcome())
				}
			}
			for i := range streams {
				if want := i == wrong; (streams[i].Load() == 1) != want {
					t.Fatalf("%d failures on stream %d, %d wrong", streams[i].Load(), i, wrong)
				}
			}
		}
	}
}

// TestWhoFailedIsVerifiedAlone: a stream with a wrong signature cannot spoil a second
// group, and somebody who has not proved anything not even one, however many streams there are for it.
func TestWhoFailedIsVerifiedAlone(t *testing.T) {
	var honest, other atomic.Int32
	other.Store(1)
	claims := []*claim{newClaim(&other, false)}
	for range together {
		claims = append(claims, newClaim(&honest, true))
	}
	stranger := newClaim(new(atomic.Int32), false)
	stranger.strange = true
	claims = append(claims, stranger)
	verify(claims)
	if err := stranger.outcome(); !errors.Is(err, ErrSignature) {
		t.Fatal(err)
	}
	if claims[0].verdict.Load() != unjudged || claims[1].verdict.Load() != holds {
		t.Fatalf("verdicts %d and %d", claims[0].verdict.Load(), claims[1].verdict.Load())
	}
	if err := claims[0].outcome(); !errors.Is(err, ErrSignature) {
		t.Fatal(err)
	}
	if err := (*claim)(nil).outcome(); !errors.Is(err, ErrUnproven) {
		t.Fatal(err)
	}
}

// TestVerifiersAgree: about signatures that verifiers differ about (those of CCTV), a Client and
// who is shown a receipt as evidence say the same; and a claim holds by itself just when it holds together with others.
func TestVerifiersAgree(t *testing.T) {
	dir := os.Getenv("GODWIT_VECTORS")
	if dir == "" {
		dir = "../../../shared/vectors"
	}
	raw, err := os.ReadFile(filepath.Join(dir, "cctv/ed25519/ed25519vectors.json"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("SKIPPED: no vectors by others at %s; GODWIT_VECTORS names their directory", dir)
	}
	var vectors []struct{ Key, Sig, Msg string }
	if err == nil {
		err = json.Unmarshal(raw, &vectors)
	}
	if err != nil {
		t.Fatal(err)
	}
	var alike, claimed int
	for i, v := range vectors {
		key, err := hex.DecodeString(v.Key)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := hex.DecodeString(v.Sig)
		if err != nil {
			t.Fatal(err)
		}
		good := ed25519.Verify(key, []byte(v.Msg), sig)
		expanded, err := voi.NewExpandedPublicKey(key)
		if got := err == nil && voi.VerifyExpandedWithOptions(expanded, []byte(v.Msg), sig, receiptRules()); got != good {
			t.Errorf("vector %d: a Client says %v of a receipt, Verify %v", i, got, good)
		}
		if good {
			alike++
		}
		alone := voi.VerifyWithOptions(key, []byte(v.Msg), sig, claimRules())
		var failures atomic.Int32
		claims := []*claim{{public: [32]byte(key), text: []byte(v.Msg), signature: [64]byte(sig), failures: &failures}}
		for range together {
			claims = append(claims, newClaim(&failures, true))
		}
		verify(claims)
		if got := claims[0].verdict.Load() == holds; got != alone {
			t.Errorf("vector %d: a claim holds alone: %v, with others: %v", i, alone, got)
		}
		if alone {
			claimed++
		}
	}
	if alike == 0 || alike == len(vectors) || claimed <= alike {
		t.Errorf("of %d signatures %d are good as receipts', %d as claims'", len(vectors), alike, claimed)
	}
}

// BenchmarkClaims is the time of one claim of 32 together.
func BenchmarkClaims(b *testing.B) {
	var failures atomic.Int32
	claims := make([]*claim, 32)
	for i := range claims {
		claims[i] = newClaim(&failures, true)
	}
	for i := 0; i < b.N; i += len(claims) {
		for _, c := range claims {
			c.verdict.Store(unjudged)
		}
		verify(claims)
	}
}
