package relay_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	"github.com/godwit-im/godwit/p2p/relay"
	"github.com/libp2p/go-libp2p/core/peer"
)

func check(t *testing.T, at peer.AddrInfo, token []byte) relay.Check {
	t.Helper()
	c, err := relay.CheckRelay(t.Context(), relay.CheckConfig{Mode: node.Loopback, Relay: at, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// An operator looks from outside at a relay that works: every step is made, and afterwards
// nothing lies there.
func TestCheckOfAGoodRelay(t *testing.T) {
	dir := t.TempDir()
	h := run(t, relay.Config{Data: dir})
	h.until(t, relay.Serving)
	c := check(t, h.info(), nil)
	if err := c.Err(); err != nil {
		t.Fatal(err)
	}
	var steps []relay.Step
	for _, s := range c.Steps {
		steps = append(steps, s.Step)
		if s.Took <= 0 {
			t.Errorf("%s took %v", s.Step, s.Took)
		}
	}
	if want := []relay.Step{"connect", "hello", "login", "lease", "open", "deposit", "list", "fetch", "delete", "return", "addrs", "circuit", "dht"}; !slices.Equal(steps, want) {
		t.Errorf("steps %v, want %v", steps, want)
	}
	if c.Over != "TCP" || len(c.Addrs) != 2 || c.Skew.Abs() > time.Hour {
		t.Errorf("%+v", c)
	}
	if a := relay.AllowsOf(c.Limits, c.More); !slices.Equal(a.Leases, []string{"open"}) || a.BoxBytes != 256<<20 || a.QueueCells != 512 || a.Keep != 30*24*3600 {
		t.Errorf("it allows %+v", a)
	}
	if s, err := relay.Status(t.Context(), relay.Socket(dir)); err != nil || s.Cells != 0 || s.Queues != 0 || s.Boxes != 0 || s.Deposits != 5 || s.Allows.QueueBytes != 8<<20 {
		t.Errorf("it left %+v, %v", s, err)
	} else if s.Refusals != 0 {
		t.Errorf("it refused %v", s.Refused)
	}
}

// An operator told a relay's people of an address that leads nowhere, as a router does that forgot it. The
// check says which it is, and all else works.
func TestCheckOfAnAddressThatLeadsNowhere(t *testing.T) {
	const gone = "/ip4/127.0.0.77/tcp/1"
	h := run(t, relay.Config{Data: t.TempDir(), Announce: []string{gone}})
	h.until(t, relay.Serving)
	c := check(t, h.info(), nil)
	if len(c.Addrs) != 3 {
		t.Errorf("it told of %v", c.Addrs)
	}
	for _, s := range c.Steps {
		at := new(relay.AddrError)
		switch {
		case s.Step != relay.StepAddrs && s.Err != nil:
			t.Errorf("%s: %v", s.Step, s.Err)
		case s.Step == relay.StepAddrs && (!errors.As(s.Err, &at) || at.Addr.String() != gone):
			t.Errorf("%s: %v", s.Step, s.Err)
		}
	}
}

// What is wrong with a relay is found at the step where it shows.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	closed, err := node.New(node.Config{Mode: node.Loopback})
	if err != nil {
		t.Fatal(err)
	}
	away := p2ptest.Info(closed)
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	serve := func(store mailbox.Store, key mailbox.Signer, cfg mailbox.ServerConfig) peer.AddrInfo {
		n := p2ptest.Loopback(t)
		mailboxtest.Serve(t, n.Host(), store, key, cfg)
		return p2ptest.Info(n)
	}
	memory := func() *mailboxtest.Memory { return mailboxtest.NewMemory(mailbox.DefaultQuotas(), 0) }
	token := []byte("a token for a few friends")
	forTokens := mailbox.ServerConfig{Leases: []mailbox.LeaseKind{mailbox.LeaseToken}, Tokens: [][]byte{token}}
	full := mailboxtest.NewMemory(mailbox.DefaultQuotas(), 1)
	for name, c := range map[string]struct {
		at    peer.AddrInfo
		token []byte
		step  relay.Step
		want  error // nil: any
	}{
		"it does not run":           {at: away, step: relay.StepConnect},
		"it is something else":      {at: p2ptest.Info(p2ptest.Loopback(t)), step: relay.StepHello},
		"it wants a token":          {at: serve(nil, nil, forTokens), step: relay.StepLease, want: relay.ErrNoToken},
		"it wants another token":    {at: serve(nil, nil, forTokens), token: []byte("a token that I made up"), step: relay.StepLease, want: relay.ErrToken},
		"it is full":                {at: serve(full, nil, mailbox.ServerConfig{}), step: relay.StepDeposit, want: mailbox.ErrFull},
		"its receipts do not hold":  {at: serve(nil, mailboxtest.WrongKey(t), mailbox.ServerConfig{}), step: relay.StepDeposit, want: mailbox.ErrBadReceipt},
		"it loses what it was left": {at: serve(losing{memory()}, nil, mailbox.ServerConfig{}), step: relay.StepFetch, want: relay.ErrLost},
		"it hides what it was left": {at: serve(hiding{memory()}, nil, mailbox.ServerConfig{}), step: relay.StepList, want: relay.ErrLost},
		"it keeps what was deleted": {at: serve(keeping{memory()}, nil, mailbox.ServerConfig{}), step: relay.StepDelete, want: relay.ErrReturned},
		"nobody is reached by it":   {at: serve(nil, nil, forTokens), token: token, step: relay.StepCircuit},
	} {
		got := check(t, c.at, c.token)
		i := slices.IndexFunc(got.Steps, func(s relay.CheckStep) bool { return s.Err != nil })
		if i < 0 || got.Steps[i].Step != c.step || c.want != nil && !errors.Is(got.Steps[i].Err, c.want) || !errors.Is(got.Err(), got.Steps[i].Err) {
			t.Errorf("%s: %+v", name, got.Steps)
		}
	}
	if u := full.Usage(); u.Boxes != 0 {
		t.Errorf("of a check that failed %d boxes are left", u.Boxes)
	}
}

// Who stops a check in its middle leaves nothing behind either.
func TestCheckIsStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	store := stopping{mailboxtest.NewMemory(mailbox.DefaultQuotas(), 0), cancel}
	n := p2ptest.Loopback(t)
	mailboxtest.Serve(t, n.Host(), store, nil, mailbox.ServerConfig{})
	if _, err := relay.CheckRelay(ctx, relay.CheckConfig{Mode: node.Loopback, Relay: p2ptest.Info(n)}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if u := store.Usage(); u.Boxes+u.Queues+u.Cells != 0 {
		t.Errorf("it left %+v", u)
	}
}

// stopping stops the check at its first deposit.
type stopping struct {
	*mailboxtest.Memory
	stop func()
}

func (s stopping) Commit(now time.Time, changes []mailbox.Change) error {
	if _, ok := changes[0].(*mailbox.Deposit); ok {
		s.stop()
	}
	return s.Memory.Commit(now, changes)
}

// Who is interrupted is told so, not that the relay is bad.
func TestCheckIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := relay.CheckRelay(ctx, relay.CheckConfig{Mode: node.Loopback, Relay: p2ptest.Info(p2ptest.Loopback(t))}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

type (
	losing  struct{ *mailboxtest.Memory }
	hiding  struct{ *mailboxtest.Memory }
	keeping struct{ *mailboxtest.Memory }
)

func (losing) Cell(mailbox.BoxPublic, mailbox.CellID, time.Time) ([]byte, error) {
	return nil, mailbox.ErrNotFound
}

func (hiding) List(mailbox.BoxPublic, uint64, int, time.Time) ([]mailbox.Entry, bool, error) {
	return nil, false, nil
}

func (k keeping) Commit(now time.Time, changes []mailbox.Change) error {
	return k.Memory.Commit(now, slices.DeleteFunc(slices.Clone(changes), func(c mailbox.Change) bool {
		_, ok := c.(*mailbox.Delete)
		return ok
	}))
}
