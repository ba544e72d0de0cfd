package apptest_test

import (
	"bytes"
	"context"
	"crypto/mlkem"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/apptest"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/identity/pqxdh"
	"github.com/godwit-im/godwit/p2p/direct"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/p2ptest"
)

// refuses fails unless an invitation is refused as used, expired or revoked.
func refuses(t *testing.T, p *apptest.Person, link string) {
	t.Helper()
	if err := p.Accepts(link, "", ""); !errors.Is(err, problem.InvitationGone) {
		t.Errorf("%s accepts an invitation that is gone: %v", p.Name, err)
	}
	if names := p.Knows(); len(names) != 0 {
		t.Errorf("%s knows %q by an invitation that is gone", p.Name, names)
	}
}

// accepts fails unless the invitation is accepted here, whatever the inviter will
// say.
func accepts(t *testing.T, p *apptest.Person, link, name, text string) {
	t.Helper()
	if err := p.Accepts(link, name, text); err != nil {
		t.Fatalf("%s accepts: %v", p.Name, err)
	}
}

// ends waits until the inviter's relays hold an invitation no more.
func ends(t *testing.T, p *apptest.Person, state string) {
	t.Helper()
	p.Awaits("its invitation to be "+state, func(ctx context.Context) bool {
		list, err := p.App.Invites(ctx, api.InvitesRequest{})
		return err == nil && !slices.ContainsFunc(list, func(i api.Invitation) bool { return i.State != state || i.Relays > 0 })
	})
}

// knows fails unless a person knows just these.
func knows(t *testing.T, p *apptest.Person, names ...string) {
	t.Helper()
	if got := p.Knows(); !slices.Equal(got, names) {
		t.Errorf("%s knows %q, want %q", p.Name, got, names)
	}
}

// An invitation is good for one person. Carol, who comes later, is told so, by the
// relay and by Alice herself.
func TestInvitationUsedTwice(t *testing.T) {
	t.Parallel()
	for _, relays := range [][]string{{"oak"}, nil} {
		w := apptest.New(t)
		w.Relay("oak")
		alice, bob, carol := w.Person("alice", relays...), w.Person("bob", relays...), w.Person("carol", relays...)
		link := alice.Invites()
		accepts(t, bob, link, "alice", "it is me")
		alice.AwaitsContact("bob")
		ends(t, alice, "used")
		refuses(t, carol, link)
		knows(t, alice, "bob")
		alice.Reads(bob, "it is me")
	}
}

// Bob and Carol both take the invitation from the relay while Alice is away. Who
// was first is a contact; the other never becomes one and never disturbs them.
func TestInvitationUsedByTwoAtOnce(t *testing.T) {
	t.Parallel()
	w := apptest.New(t)
	w.Relay("oak")
	alice, bob, carol := w.Person("alice", "oak"), w.Person("bob", "oak"), w.Person("carol", "oak")
	link := alice.Invites()
	alice.Leaves()
	accepts(t, bob, link, "alice", "bob was first")
	bob.Keeps(alice, "bob was first")
	accepts(t, carol, link, "alice", "carol was second")
	carol.Keeps(alice, "carol was second")

	alice.Returns()
	alice.AwaitsContact("bob")
	alice.Reads(bob, "bob was first")
	alice.Sees(bob, alice.Says(bob, "hello Bob"), api.Delivered)
	second := carol.Says(alice, "and still here")
	bob.Sees(alice, bob.Says(alice, "hello Alice"), api.Delivered)
	alice.Reads(bob, "bob was first", "hello Alice")
	knows(t, alice, "bob")
	if m := carol.Finds(alice, second); m.State.Meets(api.Delivered) {
		t.Errorf("Carol's message is %s, and Alice does not know her", m.State)
	}
}

// A revoked invitation is refused; who had taken it before never becomes a contact.
func TestInvitationRevoked(t *testing.T) {
	t.Parallel()
	w := apptest.New(t)
	w.Relay("oak")
	alice, bob, carol := w.Person("alice", "oak"), w.Person("bob", "oak"), w.Person("carol", "oak")
	link := alice.Invites()
	alice.Leaves()
	accepts(t, bob, link, "alice", "in time?")
	bob.Keeps(alice, "in time?")

	// Alice revokes before she reads her mail.
	inv, err := identity.ParseLink(link)
	if err != nil {
		t.Fatal(err)
	}
	notice := inv.NoticeID()
	alice.Edits(func(tx *store.Tx) error {
		return tx.SetInvitationState(store.InvitationID(notice[:8]), store.InvitationRevoked, 0)
	})
	alice.Returns()
	ends(t, alice, "revoked")
	refuses(t, carol, link)
	again := bob.Says(alice, "hello?")
	alice.Meets(carol)
	knows(t, alice, "carol")
	if m := bob.Finds(alice, again); m.State.Meets(api.Delivered) {
		t.Errorf("Bob's message is %s, and Alice does not know him", m.State)
	}
}

// An invitation that has expired is refused, by the relay, by Alice, and by who is
// asked to accept it. Who accepted in time is a contact even if Alice learns of it
// later.
func TestInvitationExpired(t *testing.T) {
	if testing.Short() {
		t.Skip("an invitation lives a minute at least")
	}
	t.Parallel()
	w := apptest.New(t)
	w.Relay("oak")
	alice, bob, carol, dora := w.Person("alice", "oak"), w.Person("bob", "oak"), w.Person("carol", "oak"), w.Person("dora")
	ctx := t.Context()
	var links []string
	var end time.Time
	for range 2 {
		inv, err := alice.Invite(ctx, api.InviteRequest{Expires: api.Duration(time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		links, end = append(links, inv.Link), inv.Expires.Time
	}
	inv, err := dora.Invite(ctx, api.InviteRequest{Expires: api.Duration(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	alice.Leaves()
	accepts(t, bob, links[0], "alice", "in time")
	bob.Keeps(alice, "in time")
	<-time.After(time.Until(end.Add(2 * time.Second)))
	refuses(t, carol, links[1]) // the relay has it no more
	refuses(t, carol, inv.Link) // Dora gives it out no more
	alice.Returns()
	alice.AwaitsContact("bob")
	alice.Reads(bob, "in time")
	refuses(t, carol, links[1]) // Alice neither
	knows(t, alice, "bob")
	list, err := alice.App.Invites(ctx, api.InvitesRequest{})
	if err != nil || len(list) != 2 || list[0].State != "used" || list[1].State != "expired" || list[1].Link != "" {
		t.Errorf("the invitations are %+v, %v", list, err)
	}
}

// A relay that gives out an expired invitation's notice does not make it good: its
// bundle says when it ends.
func TestInvitationExpiredAtAHostileRelay(t *testing.T) {
	t.Parallel()
	w := apptest.New(t)
	oak := w.Relay("oak")
	bob := w.Person("bob", "oak")
	link, notice := oldInvitation(t, oak)
	inv, err := identity.ParseLink(link)
	if err != nil {
		t.Fatal(err)
	}
	at(t, oak, func(ctx context.Context, c *mailbox.Client) {
		box := mailbox.GenerateBox()
		if _, err := c.Login(ctx, box); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Lease(ctx, box.Public(), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Post(ctx, mailbox.NoticeID(inv.NoticeID()), notice, time.Hour); err != nil {
			t.Fatal(err)
		}
	})
	refuses(t, bob, link)
}

// oldInvitation is an invitation, found at one relay, whose bundle ended a moment ago.
func oldInvitation(t *testing.T, oak *apptest.Relay) (link string, notice []byte) {
	entropy := identity.NewEntropy()
	device, agreement := identity.GenerateDevice(), identity.GenerateAgreement()
	chain := identity.NewChain(identity.RootFromEntropy(entropy), device, agreement.Public(), time.Now())
	hint := identity.Hint{Kind: identity.HintRelay, Peer: []byte(oak.ID())}
	for _, a := range oak.AddrInfo().Addrs {
		hint.Addrs = append(hint.Addrs, a.Bytes())
	}
	inv := identity.NewInvitation(identity.Single, chain.Account(), []identity.Hint{hint})
	kem, err := mlkem.GenerateKey1024()
	if err != nil {
		t.Fatal(err)
	}
	intro, err := pqxdh.GenerateIntro()
	if err != nil {
		t.Fatal(err)
	}
	oneTime := identity.GeneratePrekey().Public()
	b := &identity.Bundle{
		Suite: identity.Suite, Chain: chain, Device: device.Public(), Agreement: agreement.Public(), Signed: identity.GeneratePrekey().Public(),
		KEM:     identity.KEMPrekey{ID: 1, Public: kem.EncapsulationKey().Bytes(), LastResort: true},
		OneTime: &oneTime, Intro: intro.PublicKey().Bytes(), Relays: inv.Hints, Expiry: time.Now().Add(-time.Second).Truncate(time.Second),
	}
	raw, err := b.Sign(device)
	if err != nil {
		t.Fatal(err)
	}
	if notice, err = inv.SealNotice(raw); err != nil {
		t.Fatal(err)
	}
	return inv.Link(), notice
}

// at speaks to a relay from a host of its own.
func at(t *testing.T, r *apptest.Relay, do func(context.Context, *mailbox.Client)) {
	t.Helper()
	n := p2ptest.Loopback(t)
	ctx, cancel := context.WithTimeout(t.Context(), apptest.Patience)
	defer cancel()
	c, err := mailbox.Dial(ctx, n.Host(), r.AddrInfo())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	do(ctx, c)
}

// Alice has left when Bob accepts. What he says at once and after it is there when
// she comes, in order, though he has left too.
func TestInviterIsAway(t *testing.T) {
	t.Parallel()
	w := apptest.New(t)
	w.Relay("oak")
	alice, bob := w.Person("alice", "oak"), w.Person("bob", "oak")
	link := alice.Invites()
	alice.Leaves()
	accepts(t, bob, link, "alice", "found your card")
	ids := []string{bob.Says(alice, "are you there?"), bob.Says(alice, "I go now")}
	for _, id := range ids {
		bob.Sees(alice, id, api.Kept)
	}
	bob.Leaves()
	alice.Returns()
	alice.AwaitsContact("bob")
	alice.Reads(bob, "found your card", "are you there?", "I go now")
	reply := alice.Sees(bob, alice.Says(bob, "now I am"), api.Kept)
	alice.Leaves()
	bob.Returns()
	bob.Reads(alice, "now I am")
	alice.Returns()
	alice.Sees(bob, reply.ID, api.Delivered)
	for _, id := range ids {
		bob.Sees(alice, id, api.Delivered)
	}
}

// No relay answers, but Alice's own address is in the invitation.
func TestRelayIsDownAtTheInvitation(t *testing.T) {
	t.Parallel()
	w := apptest.New(t)
	oak := w.Relay("oak")
	alice, bob := w.Person("alice", "oak"), w.Person("bob", "oak")
	link := alice.Invites()
	oak.Stops()
	accepts(t, bob, link, "alice", "straight to you")
	alice.AwaitsContact("bob")
	alice.Reads(bob, "straight to you")
	alice.Sees(bob, alice.Says(bob, "I see you"), api.Delivered)
	bob.Reads(alice, "I see you")
	// When the relay is back it serves them both.
	oak.Starts()
	alice.Connects("oak")
	bob.Connects("oak")
	bob.Leaves()
	kept := alice.Sees(bob, alice.Says(bob, "and now by the relay"), api.Kept)
	bob.Returns()
	bob.Reads(alice, "I see you", "and now by the relay")
	alice.Sees(bob, kept.ID, api.Delivered)
}

// Nobody has a relay at all.
func TestNobodyHasARelay(t *testing.T) {
	t.Parallel()
	w := apptest.New(t)
	alice, bob := w.Person("alice"), w.Person("bob")
	alice.Meets(bob)
	bob.Sees(alice, bob.Says(alice, "no relay anywhere"), api.Delivered)
	bob.Leaves()
	id := alice.Says(bob, "and now?")
	m := alice.Hopes(bob, id, problem.NoRelayNamed)
	if m.State != api.Queued || *m.Relays != (api.Copies{Wanted: 3}) {
		t.Errorf("a message that can go nowhere is %s, %+v", m.State, *m.Relays)
	}
	bob.Returns()
	bob.Reads(alice, "and now?")
}

// flights keeps the first flights that a relay was given.
type flights struct {
	mailbox.Store
	mu    sync.Mutex
	cells [][]byte
}

func (f *flights) Commit(now time.Time, changes []mailbox.Change) error {
	f.mu.Lock()
	for _, c := range changes {
		if d, ok := c.(*mailbox.Deposit); ok && len(d.Cell) == mailbox.CellMedium {
			f.cells = append(f.cells, bytes.Clone(d.Cell))
		}
	}
	f.mu.Unlock()
	return f.Store.Commit(now, changes)
}

// A first flight is replayed: at the relay that had it, at another, directly, and
// again after Alice was away. It makes no second contact, no second message and no
// new session.
func TestFirstFlightIsReplayed(t *testing.T) {
	t.Parallel()
	w := apptest.New(t)
	oak, elm := w.NewRelay("oak"), w.Relay("elm")
	seen := &flights{}
	oak.Store = func(own mailbox.Store) mailbox.Store {
		seen.Store = own
		return seen
	}
	oak.Starts()
	alice, bob := w.Person("alice", "oak", "elm"), w.Person("bob", "oak", "elm")
	link := alice.Invites()
	alice.Leaves()
	accepts(t, bob, link, "alice", "said once")
	bob.Keeps(alice, "said once")
	inv, err := identity.ParseLink(link)
	if err != nil {
		t.Fatal(err)
	}
	seen.mu.Lock()
	cells := seen.cells
	seen.mu.Unlock()
	if len(cells) == 0 {
		t.Fatal("no first flight came by the relay")
	}
	replay := func() {
		for _, r := range []*apptest.Relay{oak, elm} {
			at(t, r, func(ctx context.Context, c *mailbox.Client) {
				key, err := mailbox.NewWriteKey(r.ID(), mailbox.CatchAll, inv.WriteKey([]byte(r.ID())))
				if err != nil {
					t.Fatal(err)
				}
				for _, cell := range cells {
					if _, err := c.Put(ctx, key, cell, time.Hour); err != nil {
						t.Fatalf("replay: %v", err)
					}
				}
			})
		}
	}
	replay()
	alice.Returns()
	alice.AwaitsContact("bob")
	alice.Reads(bob, "said once")
	alice.Sees(bob, alice.Says(bob, "heard once"), api.Delivered)

	replay()
	n := p2ptest.Loopback(t)
	d := direct.New(n, nobody{}, direct.Config{})
	defer d.Close()
	for _, cell := range cells {
		// The answer is a copy's, and holds only under the session's key.
		if _, err := d.SendFlight(t.Context(), address(t, alice), cell, direct.Hash{}, [32]byte{}); err == nil {
			t.Error("a replayed flight was acknowledged to who does not have the session")
		}
	}
	alice.Leaves()
	replay()
	alice.Returns()
	bob.Sees(alice, bob.Says(alice, "said next"), api.Delivered)
	alice.Sees(bob, alice.Says(bob, "heard next"), api.Delivered)
	alice.Reads(bob, "said once", "said next")
	bob.Reads(alice, "heard once", "heard next")
	knows(t, alice, "bob")
	oak.Empties()
	elm.Empties()
}

// nobody is a direct.Handler without sessions.
type nobody struct{ direct.Handler }

func (nobody) Sessions() []direct.Session { return nil }

// address is where a person listens.
func address(t *testing.T, p *apptest.Person) peer.AddrInfo {
	t.Helper()
	s, err := p.Status(t.Context(), api.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	at := peer.AddrInfo{}
	for _, text := range s.Addrs {
		one, err := peer.AddrInfoFromString(text)
		if err != nil {
			t.Fatal(err)
		}
		at.ID, at.Addrs = one.ID, append(at.Addrs, one.Addrs...)
	}
	return at
}

// Alice blocks Bob: nothing of his arrives, and nothing tells him that it did.
// When she takes it back, what he said meanwhile comes too, in order.
func TestBlocked(t *testing.T) {
	t.Parallel()
	w := apptest.New(t)
	w.Relay("oak")
	alice, bob := w.Person("alice", "oak"), w.Person("bob", "oak")
	alice.Meets(bob)
	bob.Sees(alice, bob.Says(alice, "before"), api.Delivered)
	alice.Reads(bob, "before")
	if _, err := alice.BlockContact(t.Context(), api.ContactRequest{Contact: "bob"}); err != nil {
		t.Fatal(err)
	}
	id := bob.Says(alice, "while blocked")
	m := bob.Sees(alice, id, api.Kept)
	if m = bob.Finds(alice, id); m.State != api.Kept {
		t.Errorf("a blocked person's message is %s", m.State)
	}
	alice.Reads(bob, "before")
	if _, err := alice.Send(t.Context(), api.SendRequest{Contact: "bob", Text: "to a blocked one"}); !errors.Is(err, problem.ContactBlocked) {
		t.Errorf("sending to a blocked contact: %v", err)
	}
	// Another invitation is no way round.
	if err := bob.Accepts(alice.Invites(), "alice", "round the back"); err != nil {
		t.Fatal(err)
	}
	bob.Keeps(alice, "round the back")
	alice.Reads(bob, "before")

	if _, err := alice.UnblockContact(t.Context(), api.ContactRequest{Contact: "bob"}); err != nil {
		t.Fatal(err)
	}
	bob.Sees(alice, bob.Says(alice, "after"), api.Delivered)
	alice.Reads(bob, "before", "while blocked", "round the back", "after")
}

// Both accept each other's invitation at the same moment. They are one contact to
// each other, nothing is lost, and they talk on over restarts.
func TestBothAcceptAtOnce(t *testing.T) {
	t.Parallel()
	w := apptest.New(t)
	w.Relay("oak")
	alice, bob := w.Person("alice", "oak"), w.Person("bob", "oak")
	links := []string{alice.Invites(), bob.Invites()}
	var both sync.WaitGroup
	errs := make([]error, 2)
	both.Go(func() { errs[0] = bob.Accepts(links[0], "alice", "bob first") })
	both.Go(func() { errs[1] = alice.Accepts(links[1], "bob", "alice first") })
	both.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	alice.Reads(bob, "bob first")
	bob.Reads(alice, "alice first")
	alice.Settles()
	bob.Settles()
	talk := func(n string) {
		both.Go(func() { alice.Sees(bob, alice.Says(bob, "alice "+n), api.Delivered) })
		both.Go(func() { bob.Sees(alice, bob.Says(alice, "bob "+n), api.Delivered) })
		both.Wait()
	}
	talk("second")
	alice.Leaves()
	bob.Leaves()
	alice.Returns()
	bob.Returns()
	talk("third")
	bob.Leaves()
	alice.Sees(bob, alice.Says(bob, "alice fourth"), api.Kept)
	bob.Returns()
	alice.Reads(bob, "bob first", "bob second", "bob third")
	bob.Reads(alice, "alice first", "alice second", "alice third", "alice fourth")
	knows(t, alice, "bob")
	knows(t, bob, "alice")
}
