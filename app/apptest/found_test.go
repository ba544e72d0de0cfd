package apptest_test

import (
	"testing"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/apptest"
)

// Neither Alice nor Bob has a relay. Both were away, and come back at other addresses:
// what they know of each other is worth nothing any more. They find each other through
// the DHT.
func TestFoundThroughTheDHT(t *testing.T) {
	t.Parallel()
	w := apptest.New(t)
	w.DHT(8)
	alice, bob := w.Person("alice"), w.Person("bob")
	alice.Meets(bob)
	alice.Sees(bob, alice.Says(bob, "see you"), api.Delivered)
	bob.Sees(alice, bob.Says(alice, "until then"), api.Delivered)
	for range 2 {
		bob.Leaves()
		alice.Leaves()
		bob.Returns()
		alice.Returns()
		alice.Sees(bob, alice.Says(bob, "is it you?"), api.Delivered)
		bob.Sees(alice, bob.Says(alice, "it is"), api.Delivered)
	}
}
