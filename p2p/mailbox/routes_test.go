package mailbox_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// A relay tells anybody through which others it is reached, as it is now; what is no
// circuit it does not tell, and no more than there is room for in a descriptor.
func TestRoutes(t *testing.T) {
	var reached atomic.Value
	reached.Store([]ma.Multiaddr{})
	r := startRelay(t, terms{config: mailbox.ServerConfig{Routes: func() []ma.Multiaddr { return reached.Load().([]ma.Multiaddr) }}})
	bob := r.as(t)
	var now []ma.Multiaddr
	for _, c := range []struct {
		now  []string
		want int
	}{
		{nil, 0},
		{[]string{"/ip4/192.0.2.1/tcp/4001"}, 0},
		{[]string{"/ip4/192.0.2.1/tcp/4001", through("/ip4/192.0.2.2/tcp/1")}, 1},
		{[]string{through("/ip4/192.0.2.1/tcp/1"), through("/ip4/192.0.2.1/tcp/2"), through("/ip4/192.0.2.1/tcp/3"), through("/ip4/192.0.2.1/tcp/4"),
			through("/ip4/192.0.2.1/tcp/5"), through("/ip4/192.0.2.1/tcp/6"), through("/ip4/192.0.2.1/tcp/7")}, mailbox.MaxRoutes},
	} {
		now = nil
		for _, a := range c.now {
			now = append(now, ma.StringCast(a))
		}
		reached.Store(now)
		got, err := bob.Routes(t.Context())
		if err != nil || len(got) != c.want || c.want > 0 && !slices.ContainsFunc(now, got[0].Equal) {
			t.Errorf("a relay at %v told %v, %v", now, got, err)
		}
	}
	// What it told goes into a descriptor, beside its own addresses.
	own := peer.AddrInfo{ID: r.info.ID, Addrs: append(slices.Clone(r.info.Addrs), now[:mailbox.MaxAddrs-len(r.info.Addrs)]...)}
	d, err := mailbox.NewDescriptor(own, time.Now(), mailbox.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	read, err := mailbox.ParseDescriptor(raw)
	if err != nil || !slices.EqualFunc(read.Addrs, own.Addrs, ma.Multiaddr.Equal) {
		t.Errorf("a descriptor with %v was read as %v, %v", own.Addrs, read, err)
	}
	// A PeerID alone, or a circuit within a circuit, is no address of a relay.
	for _, bad := range []string{"/ip4/192.0.2.1/tcp/1/p2p/" + hopID, through(through("/ip4/192.0.2.1/tcp/1")), "/p2p/" + hopID + "/p2p-circuit"} {
		d.Addrs = []ma.Multiaddr{ma.StringCast(bad)}
		_, err := d.Marshal()
		wantErr(t, err, mailbox.ErrMalformed)
	}
}

const hopID = "12D3KooWEPJgKeNEMfRapVhkGyNRLFmsdNzNNAfQtuVCzzWTKQEm"

func through(at string) string { return at + "/p2p/" + hopID + "/p2p-circuit" }
