package apptest_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/apptest"
	"github.com/godwit-im/godwit/app/problem"
)

// home is the relay on a person's computer as they see it.
func home(t *testing.T, p *apptest.Person) api.FriendsRelay {
	t.Helper()
	v, err := p.FriendsRelay(context.Background(), api.FriendsRelayRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func keeps(t *testing.T, p *apptest.Person, on bool) api.FriendsRelay {
	t.Helper()
	v, err := p.SetFriendsRelay(context.Background(), api.SetFriendsRelayRequest{On: &on})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// friendsOf waits until somebody keeps their mail on as many friends' computers.
func friendsOf(p *apptest.Person, n int) {
	p.Awaits("friends' computers", func(ctx context.Context) bool {
		list, err := p.Relays(ctx, api.RelaysRequest{})
		used := 0
		for _, r := range list {
			if r.Friend != "" && r.State == "connected" {
				used++
			}
		}
		return err == nil && used == n
	})
}

// Anna switches on that her computer keeps mail for friends. Ben goes away, and his relay vanishes. Carol, who
// does not know Anna, leaves him something all the same, and goes too. Anna starts anew, and switches it
// off while it lies there: it is given up when Ben has fetched it, and not before.
func TestFriendsKeepMail(t *testing.T) {
	w := apptest.New(t)
	usual, other := w.Relay("usual"), w.Relay("other")
	_ = other
	anna, ben, carol := w.Person("anna", "other"), w.Person("ben", "usual"), w.Person("carol", "other")
	anna.Meets(ben)
	carol.Meets(ben)
	if v := home(t, anna); v.State != api.FriendsOff || v.On {
		t.Fatalf("%+v", v)
	}
	v := keeps(t, anna, true)
	if v.State != api.FriendsOn || v.Own || v.Friends != 1 || len(v.Addrs) == 0 || v.MaxDisk != 1<<30 {
		t.Fatalf("%+v", v)
	}
	friendsOf(ben, 1)
	anna.Awaits("Ben to use it", func(context.Context) bool { return home(t, anna).Using == 1 })
	ben.Settles()
	ben.Leaves()
	usual.Stops()
	said := carol.Says(ben, "are you well?")
	anna.Awaits("something for Ben", func(context.Context) bool { return home(t, anna).Cells > 0 })
	if m := carol.Finds(ben, said); m.State != api.Queued {
		t.Errorf("it is said to be %s", m.State)
	}
	carol.Leaves()

	anna.Leaves()
	anna.Returns()
	anna.Awaits("her computer to keep mail again", func(context.Context) bool { return home(t, anna).State == api.FriendsOn })
	if again := home(t, anna); again.Relay != v.Relay || again.Cells == 0 || again.Month == nil || again.Month.Taken == 0 {
		t.Errorf("%+v", again)
	}
	if v := keeps(t, anna, false); v.State != api.FriendsDraining || v.Cells == 0 || v.Until.IsZero() || v.On {
		t.Errorf("%+v", v)
	}
	ben.Leaves()
	usual.Starts() // or Ben would wait for it when he comes
	ben.Returns()
	ben.Reads(carol, "are you well?")
	anna.Awaits("it to end", func(context.Context) bool { return home(t, anna).State == api.FriendsOff })
	friendsOf(ben, 0)
	carol.Returns()
	carol.Sees(ben, said, api.Delivered)
}

// Anna has no relay at all. Her own computer is one, for her invitations too; what she asks for has
// bounds; and a second relay in the same place cannot be.
func TestFriendsRelayIsOwnToo(t *testing.T) {
	w := apptest.New(t)
	anna := w.Person("anna")
	little := int64(1000)
	if _, err := anna.SetFriendsRelay(t.Context(), api.SetFriendsRelayRequest{Share: &little}); !errors.Is(err, problem.BadRequest) {
		t.Errorf("a share of 1000 bytes: %v", err)
	}
	if v := keeps(t, anna, true); !v.Own {
		t.Errorf("%+v", v)
	}
	relays := func() (list []api.Relay) {
		list, err := anna.Relays(t.Context(), api.RelaysRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	anna.Awaits("her own relay", func(context.Context) bool { r := relays(); return len(r) == 1 && r[0].State == "connected" })
	ben := w.Person("ben")
	anna.Meets(ben)
	friendsOf(ben, 1)
	ben.Reads(anna)
	said := ben.Says(anna, "hello")
	ben.Sees(anna, said, api.Delivered)
	// For who is blocked it keeps nothing more, and they hear of it; they are welcome again later.
	if _, err := anna.BlockContact(t.Context(), api.ContactRequest{Contact: "ben"}); err != nil {
		t.Fatal(err)
	}
	friendsOf(ben, 0)
	if _, err := anna.UnblockContact(t.Context(), api.ContactRequest{Contact: "ben"}); err != nil {
		t.Fatal(err)
	}
	friendsOf(ben, 1)
	off := false
	if v, err := anna.SetFriendsRelay(t.Context(), api.SetFriendsRelayRequest{On: &off, Contact: "ben"}); err != nil || !v.On || len(v.But) != 1 || v.But[0].Name != "ben" || v.Friends != 0 {
		t.Fatalf("%+v, %v", v, err)
	}
	friendsOf(ben, 0)
	if _, err := anna.SetFriendsRelay(t.Context(), api.SetFriendsRelayRequest{On: &off, Contact: "ben", Now: true}); !errors.Is(err, problem.BadRequest) {
		t.Error(err)
	}
	if _, err := anna.RemoveRelay(t.Context(), api.RelayRequest{Relay: home(t, anna).Relay}); err != nil {
		t.Fatal(err)
	}
	if home(t, anna).Own {
		t.Error("what she gave up by hand is wanted still")
	}
	keeps(t, anna, false)
	anna.Awaits("it to end", func(context.Context) bool { return home(t, anna).State == api.FriendsOff })
	for _, r := range relays() {
		if r.State != "draining" {
			t.Errorf("%+v", r)
		}
	}
	if r := home(t, anna); strings.Contains(r.Reason, "REL") {
		t.Error(r.Reason)
	}
}
