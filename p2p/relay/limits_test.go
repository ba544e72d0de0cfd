package relay_test

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/relay"
	"github.com/libp2p/go-libp2p/core/peer"
)

// An operator changes the limits of a relay in use. Who is connected stays so, with all
// mail; who comes from now on gets the new limits; and limits that cannot be leave all as it was.
func TestLimitsChangeWhileItRuns(t *testing.T) {
	token := []byte("a token for a few friends")
	var next atomic.Pointer[relay.Limits]
	dir := t.TempDir()
	h := run(t, relay.Config{Data: dir, Reload: func() (relay.Limits, []string, error) {
		if l := next.Load(); l != nil {
			return *l, []string{"listen"}, nil
		}
		return relay.Limits{}, nil, errors.New("config.toml:3: that is no size")
	}})
	h.until(t, relay.Serving)
	reload := func(l relay.Limits) ([]string, error) {
		next.Store(&l)
		what, err := relay.Reload(t.Context(), relay.Socket(dir))
		if err == nil && !slices.Equal(what.Later, []string{"listen"}) {
			t.Errorf("%q waits for a restart", what.Later)
		}
		return what.Changed, err
	}
	bob, alice := moveIn(t, h.info()), dial(t, h.info())
	put := func(size int) error {
		_, err := alice.Put(t.Context(), bob.queue.Write, mailboxtest.Random(size), 0)
		return err
	}
	if err := put(mailbox.CellLarge); err != nil {
		t.Fatal(err)
	}

	smaller := relay.Limits{MaxDisk: 20 << 20, Tokens: [][]byte{token}, Leases: []mailbox.LeaseKind{mailbox.LeaseToken},
		Quotas: mailbox.Quotas{Room: mailbox.Room{QueueCells: 2, QueueBytes: 64 << 10, BoxBytes: 1 << 20, BoxQueues: 10}}}
	changed, err := reload(smaller)
	if want := []string{"max_disk", "queue_cells", "queue_size", "box_queues", "box_size", "lease", "lease_token"}; err != nil || !slices.Equal(changed, want) {
		t.Errorf("%q has changed, %v", changed, err)
	}
	if changed, err := reload(smaller); err != nil || len(changed) > 0 {
		t.Errorf("nothing was changed, but %q has, %v", changed, err)
	}
	if err := put(mailbox.CellSmall); !errors.Is(err, mailbox.ErrQuota) {
		t.Errorf("a queue that is full now takes more: %v", err)
	}
	if entries, _, err := bob.List(t.Context(), 0); err != nil || len(entries) != 1 {
		t.Errorf("of what was kept %d are left, %v", len(entries), err)
	}
	carol := dial(t, h.info())
	if l := relay.AllowsOf(carol.Limits(), mailbox.Allowance{}); !slices.Equal(l.Leases, []string{"token"}) || l.BoxBytes != 1<<20 || l.WorkBits != 0 {
		t.Errorf("Carol is told %+v", l)
	}
	key := mailbox.GenerateBox()
	if _, err := carol.Login(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if _, err := carol.Lease(t.Context(), key.Public(), nil); !errors.Is(err, mailbox.ErrLease) {
		t.Errorf("without a token: %v", err)
	}
	if _, err := carol.Lease(t.Context(), key.Public(), token); err != nil {
		t.Errorf("with a token: %v", err)
	}
	// Bob's connection began on other terms, which go on.
	if _, err := bob.Lease(t.Context(), bob.key.Public(), nil); !errors.Is(err, mailbox.ErrTooMany) {
		t.Errorf("Bob, who had his lease: %v", err)
	}

	// Friends get more than strangers do, from now on: Carol's box too, once her token pays for it again.
	if got := allowance(t, h.info()); got.Lease != mailbox.LeaseTime || got.TokenLease != mailbox.LeaseTime || got.Token != smaller.Quotas.Room {
		t.Errorf("it tells %+v", got)
	}
	both := smaller
	both.Leases = []mailbox.LeaseKind{mailbox.LeaseOpen, mailbox.LeaseToken}
	both.Quotas.Token = mailbox.Room{QueueCells: 9, BoxBytes: 4 << 20}
	both.TokenLease = 90 * 24 * time.Hour
	both.Bounds, both.GroupBoxes = node.Bounds{Connections: 500, Group: 60, Rate: 7}, 5
	changed, err = reload(both)
	if want := []string{"token_queue_cells", "token_box_size", "token_lease_days", "lease", "connections", "group_connections", "group_rate", "group_boxes"}; err != nil || !slices.Equal(changed, want) {
		t.Errorf("%q has changed, %v", changed, err)
	}
	got := allowance(t, h.info())
	if want := (mailbox.Allowance{Lease: mailbox.LeaseTime, TokenLease: both.TokenLease, Token: both.Quotas.Of(true), Connections: 500, GroupConnections: 60, GroupRate: 7, GroupBoxes: 5}); got != want {
		t.Errorf("it tells %+v", got)
	}
	dave := dial(t, h.info())
	if a := relay.AllowsOf(dave.Limits(), got); a.BoxBytes != 1<<20 || a.Token.BoxBytes != 4<<20 || a.Token.QueueCells != 9 || a.Token.BoxQueues != 10 || a.Token.Lease != 90*24*3600 {
		t.Errorf("Dave is told %+v", a)
	}
	for _, one := range []struct {
		key   mailbox.BoxPrivate
		token []byte
		limit uint64
		until time.Duration
	}{{key, token, 4 << 20, both.TokenLease}, {mailbox.GenerateBox(), token, 4 << 20, both.TokenLease}, {mailbox.GenerateBox(), nil, 1 << 20, mailbox.LeaseTime}} {
		c := dial(t, h.info())
		if _, err := c.Login(t.Context(), one.key); err != nil {
			t.Fatal(err)
		}
		if until, err := c.Lease(t.Context(), one.key.Public(), one.token); err != nil || until.Sub(c.Now()) > one.until || until.Sub(c.Now()) < one.until-time.Hour {
			t.Errorf("until %v, %v", until, err)
		}
		c = dial(t, h.info())
		if info, err := c.Login(t.Context(), one.key); err != nil || info.Limit != one.limit {
			t.Errorf("a box of %d bytes, not %d: %v", info.Limit, one.limit, err)
		}
	}

	if _, err := reload(smaller); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]relay.Limits{
		"a cap that holds nothing": {MaxDisk: 1},
		"a lease for ever":         {Lease: 100 * 365 * 24 * time.Hour},
		"less than a cell":         {Quotas: mailbox.Quotas{Token: mailbox.Room{BoxBytes: 1}}},
		"a negative cap":           {MaxDisk: -1},
		"a day without a cell":     {Daily: 1000},
		"a queue without room":     {Quotas: mailbox.Quotas{Room: mailbox.Room{QueueCells: 1, QueueBytes: 1, BoxBytes: 1 << 20, BoxQueues: 1}}},
		"tokens that nobody has":   {Leases: []mailbox.LeaseKind{mailbox.LeaseToken}},
		"few connections":          {Bounds: node.Bounds{Connections: 3, Group: 3, Rate: 1}},
		"a group of more than all": {Bounds: node.Bounds{Connections: 100, Group: 200, Rate: 1}},
		"more than it can take":    {Bounds: node.Bounds{Connections: 1 << 16, Group: 100, Rate: 1}},
		"a short token":            {Tokens: [][]byte{[]byte("short")}},
	} {
		if changed, err := reload(bad); !errors.Is(err, relay.ErrReload) || len(changed) > 0 {
			t.Errorf("%s: %q %v", name, changed, err)
		}
	}
	next.Store(nil)
	if _, err := h.Reload(); err == nil {
		t.Error("what could not be read was taken")
	}
	if now := h.Limits(); now.MaxDisk != 20<<20 || now.Quotas != smaller.Quotas || len(now.Tokens) != 1 {
		t.Errorf("bad limits left %+v", now)
	}
	if err := put(mailbox.CellSmall); !errors.Is(err, mailbox.ErrQuota) {
		t.Error(err)
	}
	few := smaller
	few.Bounds = node.Bounds{Connections: 100}
	changed, err = reload(few)
	if want := []string{"connections", "group_connections", "group_rate"}; err != nil || !slices.Equal(changed, want) || h.Report().Bounds != (relay.Bounds{Connections: 100, GroupConnections: 100, GroupRate: 8}) {
		t.Errorf("%q has changed to %+v, %v", changed, h.Report().Bounds, err)
	}
	if _, err := reload(relay.Limits{}); err != nil { // what it began with
		t.Error(err)
	}
	if err := put(mailbox.CellLarge); err != nil {
		t.Error(err)
	}
}

// allowance is what a relay tells who asks.
func allowance(t *testing.T, at peer.AddrInfo) mailbox.Allowance {
	t.Helper()
	a, err := dial(t, at).Allowance(t.Context())
	if err != nil {
		t.Error(err)
	}
	return a
}
