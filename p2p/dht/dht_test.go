package dht

import (
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/rendezvous"
)

func TestTwo(t *testing.T) {
	anna := loopback(t, Config{})
	bob := loopback(t, Config{Bootstrap: infos(anna)})
	seed := rendezvous.NewSeed()
	if n := bob.publish(seed); n != 1 {
		t.Fatalf("%d keep it", n)
	}
	if f := anna.finds(seed); f.Device.ID != bob.host.ID() {
		t.Fatal(f)
	}
}

// Of fifty, five were just killed and five lost power; nobody has noticed. Who looks
// for a contact does.
func TestFoundAmongTheDead(t *testing.T) {
	inWorld(t, 50, func(t *testing.T, w *world) {
		seeds := make([]rendezvous.Seed, 30)
		for i := range seeds {
			seeds[i] = rendezvous.NewSeed()
			if n := w.members[i].publish(seeds[i]); n < bucketSize {
				t.Fatalf("%d keep it", n)
			}
		}
		for i, m := range w.members[40:] {
			if i%2 == 0 {
				w.kill(m)
			} else {
				w.freeze(m)
			}
		}
		for i, s := range seeds {
			start := time.Now()
			f := w.members[39-i].finds(s)
			if f.Device.ID != w.members[i].host.ID() {
				t.Fatalf("found %v", f)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("took %v", took)
			}
		}
	})
}
