package chat

import (
	"slices"
	"strings"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

// desk is a relay on a person's own computer, for their contacts.
type desk struct {
	*relay
	of     *person
	secret [32]byte
	until  time.Time // it is being given up
	addrs  []ma.Multiaddr
	but    But
	daily  uint64 // bytes that may come and go in a day; 0: any number
}

// KeepsMail has a person's computer keep mail for contacts.
func (p *person) KeepsMail(r *relay) *desk {
	d := &desk{relay: r, of: p, secret: [32]byte{7}, addrs: r.info().Addrs}
	d.tells()
	return d
}

// tells has the relay know its friends, and the friends it.
func (d *desk) tells() {
	d.w.Helper()
	tokens, former, err := d.of.FriendTokens(d.w.Context(), d.secret, d.but)
	d.w.check(err)
	d.w.check(d.server.SetTerms(mailbox.ServerConfig{Leases: []mailbox.LeaseKind{mailbox.LeaseToken}, Friends: tokens, Former: former, Closed: !d.until.IsZero(), MaxTTL: 7 * 24 * time.Hour, Daily: d.daily}))
	d.w.check(d.of.TellFriends(d.w.Context(), ForFriends{Secret: d.secret, Relay: d.id(), Addrs: d.addrs, Until: d.until, But: d.but}))
}

// relaysOf are a person's relays, by how they were found.
func (p *person) relaysOf(source string) (list []api.Relay) {
	p.w.Helper()
	all, err := p.Relays(p.w.Context())
	p.w.check(err)
	return slices.DeleteFunc(all, func(r api.Relay) bool { return r.Source != source })
}

// knowsExtra waits until the person knows as many extra places of another.
func (p *person) knowsExtra(of *person, n int) {
	p.w.Helper()
	p.Awaits("to know where friends keep mail", func() bool {
		extra := slices.DeleteFunc(p.theirQueues(of), func(q store.TheirQueue) bool { return !q.Extra })
		return len(extra) == n
	})
}

// neighbours are Anna, whose computer keeps mail for Ben, her contact, and Carol, who writes to Ben
// and knows nothing of Anna.
func neighbours(w *world, bens ...*relay) (anna, ben, carol *person, home *desk) {
	anna, ben, carol = w.Person("anna"), w.Person("ben", bens...), w.Person("carol", w.Relay("carol's relay"))
	anna.Meets(ben)
	carol.Meets(ben)
	home = anna.KeepsMail(w.Relay("anna's computer"))
	carol.knowsExtra(ben, 1)
	return anna, ben, carol, home
}

// Ben is away, and his usual relay has vanished for good. What Carol says to him lies at Anna's computer,
// which nobody promises anything of: it is not said to be kept. When Ben comes back
// it is there, and Carol need not be.
func TestFriendKeepsMail(t *testing.T) {
	inWorld(t, func(w *world) {
		usual := w.Relay("usual")
		anna, ben, carol, home := neighbours(w, usual)
		if f := ben.relaysOf("friend"); len(f) != 1 || f[0].Name != "anna" || f[0].State != relayConnected {
			t.Fatalf("%+v", f)
		}
		ben.Leaves()
		both := carol.Says(ben, "to both")
		if s := carol.Sees(both, api.Kept); s.Relays.Kept != 1 || s.Relays.Named != 1 || !strings.Contains(s.Reason, string(problem.FewRelays)) {
			t.Errorf("with both there: %+v %+v", s, s.Relays)
		}
		carol.Awaits("the extra copy", func() bool { return carol.state(both).Relays.Extra == 1 })
		usual.Stops()
		said := carol.Says(ben, "to Anna's alone")
		carol.Awaits("Anna's computer to have it", func() bool { return carol.state(said).Relays.Extra == 1 })
		w.Advance(time.Minute)
		if s := carol.state(said); s.State != api.Queued || s.Relays.Kept != 0 || s.Relays.Named != 1 {
			t.Errorf("it was promised that it is kept: %+v %+v", s, s.Relays)
		}
		carol.Leaves()
		ben.Returns()
		ben.Reads(carol, "to both", "to Anna's alone")
		ben.Awaits("Anna's computer to be empty", func() bool { return len(home.kept()) == 0 })
		carol.Returns()
		carol.Sees(said, api.Delivered)

		// Anna shuts her computer down. When she is back it is called at once, and not at the next try.
		home.Stops()
		anna.Leaves()
		w.Advance(45 * time.Minute)
		if f := ben.relaysOf("friend"); len(f) != 1 || f[0].State != relayUnreachable {
			t.Errorf("%+v", f)
		}
		home.Starts()
		anna.Returns()
		home.tells()
		ben.Awaits("Anna's computer", func() bool { return ben.relaysOf("friend")[0].State == relayConnected })
	})
}

// Ben has no relay but Anna's computer. Carol is told that nothing more can be said.
func TestFriendIsNoPromise(t *testing.T) {
	inWorld(t, func(w *world) {
		_, ben, carol, _ := neighbours(w)
		ben.Leaves()
		said := carol.Says(ben, "are you there?")
		carol.Awaits("the reason", func() bool { return strings.Contains(carol.state(said).Reason, string(problem.OnlyFriends)) })
		if s := carol.state(said); s.State != api.Queued || s.Relays.Extra != 1 {
			t.Errorf("%+v %+v", s, s.Relays)
		}
		ben.Returns()
		carol.Sees(said, api.Delivered)
	})
}

// Anna keeps mail for her friends, but no more for Ben, who stays her friend: his device hears of it, has what lies there, and does
// without; later it may again.
func TestButForOne(t *testing.T) {
	inWorld(t, func(w *world) {
		usual := w.Relay("usual")
		anna, ben, carol, home := neighbours(w, usual)
		ben.Leaves()
		first := carol.Says(ben, "one")
		carol.Awaits("the extra copy", func() bool { r := carol.state(first).Relays; return r.Kept == 1 && r.Extra == 1 })
		home.but = But{anna.contact(ben).Account: time.Now().Add(7 * 24 * time.Hour)}
		home.tells()
		w.Advance(time.Second)
		second := carol.Says(ben, "two")
		if s := carol.Sees(second, api.Kept); s.Relays.Extra != 0 || s.Relays.Kept != 1 {
			t.Errorf("Anna's computer took more: %+v", s.Relays)
		}
		usual.loses()
		carol.Leaves()
		ben.Returns()
		ben.Reads(carol, "one")
		ben.Awaits("to have given it up", func() bool { f := ben.relaysOf("friend"); return len(f) == 0 || f[0].State == relayDraining })
		carol.Returns()
		carol.knowsExtra(ben, 0)
		ben.Reads(carol, "one", "two")
		home.but = nil
		w.Advance(retellFriends)
		home.tells()
		carol.knowsExtra(ben, 1)
	})
}

// So much passed through Anna's computer today that it takes nothing more, and gives nothing out. What lies there for Ben stays
// there, and he has it when the hours have passed; what Carol says meanwhile waits with her.
func TestFriendIsSparing(t *testing.T) {
	inWorld(t, func(w *world) {
		_, ben, carol, home := neighbours(w)
		ben.Leaves()
		first := carol.Says(ben, "one")
		carol.Awaits("the copy", func() bool { return carol.state(first).Relays.Extra == 1 })
		home.daily = 1 << 20
		home.tells()
		home.server.Carried(home.daily, time.Now())
		second := carol.Says(ben, "two")
		carol.Awaits("the refusal", func() bool { return carol.state(second).Relays.Named == 0 && carol.state(second).Relays.Extra == 0 })
		carol.Leaves()
		kept := len(home.kept())
		ben.Returns()
		w.Advance(5 * time.Minute)
		if n := len(home.kept()); n != kept {
			t.Errorf("%d cells are left of %d", n, kept)
		}
		ben.Reads(carol)
		w.Advance(2 * time.Hour)
		ben.Reads(carol, "one")
		w.Advance(12 * time.Hour)
		ben.Leaves()
		carol.Returns()
		carol.Awaits("the copy of the second", func() bool { return carol.state(second).Relays.Extra == 1 })
		carol.Leaves()
		ben.Returns()
		ben.Reads(carol, "one", "two")
	})
}

// Anna gives it up while something lies there for Ben, who is away. Nothing new is taken. Ben comes back,
// fetches it, hears that it is over, and so does Carol.
func TestFriendGivesUp(t *testing.T) {
	inWorld(t, func(w *world) {
		usual := w.Relay("usual")
		_, ben, carol, home := neighbours(w, usual)
		ben.Leaves()
		first := carol.Says(ben, "one")
		carol.Awaits("the extra copy", func() bool { r := carol.state(first).Relays; return r.Kept == 1 && r.Extra == 1 })
		home.until = time.Now().Add(7 * 24 * time.Hour)
		home.tells()
		second := carol.Says(ben, "two")
		if s := carol.Sees(second, api.Kept); s.Relays.Extra != 0 || s.Relays.Kept != 1 {
			t.Errorf("it took more: %+v", s.Relays)
		}
		usual.loses() // what Anna's computer keeps is the only copy of the first
		carol.Leaves()
		ben.Returns()
		ben.Reads(carol, "one")
		ben.Awaits("Anna's computer to be empty", func() bool { return len(home.kept()) == 0 })
		ben.Awaits("to have given it up", func() bool { f := ben.relaysOf("friend"); return len(f) == 0 || f[0].State == relayDraining })
		carol.Returns()
		carol.knowsExtra(ben, 0)
		ben.Reads(carol, "one", "two")

		// It begins again, where it was.
		home.until = time.Time{}
		w.Advance(retellFriends)
		home.tells()
		carol.knowsExtra(ben, 1)
	})
}

// blocks has a person block another, or end that.
func (p *person) blocks(other *person, is bool) {
	p.w.Helper()
	_, err := p.ChangeContact(p.w.Context(), p.contact(other).ID, "blocked", func(c *store.Contact) error {
		if c.Blocked = (time.Time{}); is {
			c.Blocked = time.Now()
		}
		return nil
	})
	p.w.check(err)
}

// Anna blocks Ben while something lies at her computer for him, who is away. Nothing more is taken for him, and Carol
// has to do with his usual relay. What lies there is his: he fetches it, and then has done with
// it, and so has Carol. Later they are friends again.
func TestFriendIsBlocked(t *testing.T) {
	inWorld(t, func(w *world) {
		usual := w.Relay("usual")
		anna, ben, carol, home := neighbours(w, usual)
		ben.Leaves()
		first := carol.Says(ben, "one")
		carol.Awaits("the extra copy", func() bool { r := carol.state(first).Relays; return r.Kept == 1 && r.Extra == 1 })
		anna.blocks(ben, true)
		home.tells()
		w.Advance(time.Second)
		kept := len(home.kept())
		second := carol.Says(ben, "two")
		if s := carol.Sees(second, api.Kept); s.Relays.Extra != 0 || s.Relays.Kept != 1 {
			t.Errorf("Anna's computer took more: %+v", s.Relays)
		}
		w.Advance(10 * time.Minute)
		if n := len(home.kept()); n != kept {
			t.Errorf("it keeps %d cells for who is blocked, and kept %d before", n, kept)
		}
		usual.loses() // what Anna's computer keeps is the only copy of the first
		carol.Leaves()
		ben.Returns()
		ben.Reads(carol, "one")
		ben.Awaits("Anna's computer to be empty", func() bool { return len(home.kept()) == 0 })
		used := func() int {
			f := slices.DeleteFunc(ben.relaysOf("friend"), func(r api.Relay) bool { return r.State == relayDraining })
			return len(f)
		}
		ben.Awaits("to have given it up", func() bool { return used() == 0 })
		carol.Returns()
		carol.knowsExtra(ben, 0)
		ben.Reads(carol, "one", "two")

		anna.blocks(ben, false)
		w.Advance(retellFriends)
		home.tells()
		carol.knowsExtra(ben, 1)
		ben.Leaves()
		third := carol.Says(ben, "three")
		carol.Awaits("Anna's computer to have it", func() bool { return carol.state(third).Relays.Extra == 1 })
		ben.Returns()
		ben.Reads(carol, "one", "two", "three")

		// Ben, who is there, notices at once.
		ben.Awaits("to be at Anna's", func() bool { f := ben.relaysOf("friend"); return len(f) == 1 && f[0].State == relayConnected })
		anna.blocks(ben, true)
		home.tells()
		ben.Awaits("to have given it up", func() bool { return used() == 0 })
		carol.knowsExtra(ben, 0)
	})
}

// Ben does not want Anna's computer to keep his mail. He gives it up, and it stays so, also when it
// moves. Of three other friends' computers two are used; one that vanishes makes room.
func TestFriendsAreChosen(t *testing.T) {
	inWorld(t, func(w *world) {
		anna, ben, carol, home := neighbours(w, w.Relay("usual"))
		w.check(ben.RemoveRelay(w.Context(), home.id()))
		w.Advance(retellFriends)
		home.addrs = append(home.addrs, ma.StringCast("/ip4/9.9.9.9/tcp/4001"))
		home.tells()
		w.Advance(2 * tidyEvery)
		if f := ben.relaysOf("friend"); len(f) > 0 && f[0].State != relayDraining {
			t.Fatalf("%+v", f)
		}
		var friends []*person
		for _, name := range []string{"dora", "emil", "fred"} {
			p := w.Person(name)
			p.Meets(ben)
			friends = append(friends, p)
		}
		anna.Leaves()
		var gone *desk
		for _, p := range friends {
			d := p.KeepsMail(w.Relay(p.name + "'s computer"))
			w.Advance(time.Minute)
			p.Leaves()
			if gone == nil {
				gone = d
			}
		}
		used := func() (names []string) {
			for _, r := range ben.relaysOf("friend") {
				if r.State != relayDraining {
					names = append(names, r.Name)
				}
			}
			slices.Sort(names)
			return names
		}
		if n := used(); !slices.Equal(n, []string{"dora", "emil"}) {
			t.Fatalf("%v", n)
		}
		gone.Stops()
		ben.Leaves()
		carol.Leaves()
		w.Pass(31 * 24 * time.Hour) // Dora's lease is over
		gone.Stops()
		ben.Returns()
		ben.Awaits("another", func() bool { return slices.Equal(used(), []string{"emil", "fred"}) })
	})
}

// Anna's computer stands behind a router that lets nobody in. Ben fetches his mail through another relay.
func TestFriendBehindRouter(t *testing.T) {
	inPrivate(t, 5, func(w *world, r []*relay) {
		anna, ben := w.Person("anna", r[0]), w.Person("ben", r[1])
		anna.Meets(ben)
		home := w.NewRelay("anna's computer")
		home.Starts()
		w.Advance(30 * time.Second)
		d := &desk{relay: home, of: anna, secret: [32]byte{7}}
		for _, hop := range r[2:] {
			d.addrs = append(d.addrs, hop.info().Addrs[0].Encapsulate(ma.StringCast("/p2p/"+hop.id().String()+"/p2p-circuit")))
		}
		before := len(w.wires.from(ben.name))
		d.tells()
		ben.Awaits("to get in", func() bool { f := ben.relaysOf("friend"); return len(f) == 1 && f[0].State == relayConnected })
		if ben.reached(before, home) {
			t.Errorf("ben dialled %v", w.wires.from(ben.name)[before:])
		}
	})
}
