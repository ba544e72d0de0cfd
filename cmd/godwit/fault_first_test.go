package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/api"
)

// TestKillAtFirstContact kills the inviter, the invited or the relay at moments of
// chance while an invitation is accepted. Who was told that it is accepted is a
// contact; who was not told either is one, or accepts again. What was said with it
// arrives once, and they talk on.
func TestKillAtFirstContact(t *testing.T) {
	t.Parallel()
	rounds := 6
	if testing.Short() {
		rounds = 3
	}
	rng := faultSeed(t)
	ctx, w := faultWorld(t)
	relay, err := w.startRelay(ctx, "relay")
	check(t, err)
	at, _, _ := strings.Cut(relay.ready.Addrs[0], "/p2p/")
	flags := []string{"--relay", relay.ready.Addrs[0]}
	anna, err := w.startNode(ctx, "anna", flags...)
	check(t, err)

	// How long it takes if nobody is killed.
	carl, err := w.startNode(ctx, "carl", flags...)
	check(t, err)
	began := time.Now()
	check(t, acquaint(ctx, anna, carl))
	usual := time.Since(began)
	check(t, carl.stop())

	victims := []string{"anna", "bob", "relay"}
	told, again := 0, 0
	for i := range rounds {
		victim := victims[i%len(victims)]
		delay := time.Duration(rng.Int64N(int64(usual)))
		name, text := fmt.Sprintf("bob%d", i), fmt.Sprintf("accepted %d", i)
		bob, err := w.startNode(ctx, name, flags...)
		check(t, err)
		invitation, err := anna.client.Invite(ctx, api.InviteRequest{})
		check(t, err)
		request := api.AcceptRequest{Link: invitation.Link, Message: text}
		accepted := make(chan error, 1)
		go func() {
			_, err := bob.client.Accept(ctx, request)
			accepted <- err
		}()
		<-time.After(delay)
		switch victim {
		case "anna":
			check(t, anna.kill())
			anna, err = w.startNode(ctx, "anna", flags...)
		case "bob":
			check(t, bob.kill())
			bob, err = w.startNode(ctx, name, flags...)
		case "relay":
			check(t, relay.kill())
			relay, err = w.start(ctx, "relay", "relay", "--data", filepath.Join(w.dir, "relay"), "--listen", at)
		}
		check(t, err)
		err = <-accepted
		contacts, cerr := bob.client.Contacts(ctx, api.ContactsRequest{})
		check(t, cerr)
		knows := slices.ContainsFunc(contacts, func(c api.Contact) bool { return c.ID == anna.ready.Account })
		switch {
		case err == nil:
			told++
			if !knows {
				t.Errorf("killing %s after %s: Bob was told that he accepted, and does not know Anna", victim, delay)
			}
		case !knows:
			again++
			awaits(t, ctx, "to accept again", func() (bool, error) {
				_, err := bob.client.Accept(ctx, request)
				if err != nil && victim == "bob" {
					return false, err
				}
				return err == nil, nil
			})
		}
		check(t, anna.knows(ctx, bob.ready.Account))
		check(t, anna.delivered(ctx, bob.ready.Account, "hello Bob"))
		check(t, bob.delivered(ctx, anna.ready.Account, "hello Anna"))
		for _, p := range []struct {
			process *process
			of      string
			want    []string
		}{{anna, bob.ready.Account, []string{text, "hello Anna"}}, {bob, anna.ready.Account, []string{"hello Bob"}}} {
			list, err := p.process.client.Messages(ctx, api.MessagesRequest{Contact: p.of})
			check(t, err)
			var got []string
			for _, m := range list {
				if m.Author == p.of {
					got = append(got, m.Text)
				}
			}
			if !slices.Equal(got, p.want) {
				t.Errorf("killing %s after %s: %q was read, want %q", victim, delay, got, p.want)
			}
		}
		check(t, bob.stop())
	}
	t.Logf("%d rounds, each within %s: %d times Bob was told that he accepted, %d times he accepted again", rounds, usual, told, again)
}

// TestKeptOutlivesItsSenderAndItsRelay kills the relay and the sender at the moment
// when the last of many messages is kept. The relay is started again, the sender is
// not; and who they are for is killed some times on fetching them.
func TestKeptOutlivesItsSenderAndItsRelay(t *testing.T) {
	t.Parallel()
	messages, kills := 200, 10
	if testing.Short() {
		messages, kills = demoMessages, 2
	}
	rng := faultSeed(t)
	ctx, w := faultWorld(t)
	relay, err := w.startRelay(ctx, "relay")
	check(t, err)
	at, _, _ := strings.Cut(relay.ready.Addrs[0], "/p2p/")
	flags := []string{"--relay", relay.ready.Addrs[0]}
	anna, err := w.startNode(ctx, "anna", flags...)
	check(t, err)
	bob, err := w.startNode(ctx, "bob", flags...)
	check(t, err)
	check(t, acquaint(ctx, anna, bob))
	check(t, bob.delivered(ctx, anna.ready.Account, "I go now"))
	check(t, anna.delivered(ctx, bob.ready.Account, "goodbye"))
	check(t, bob.kill())

	var all sync.WaitGroup
	want := []string{"goodbye"}
	for i := range messages {
		text := fmt.Sprintf("message %d", i)
		want = append(want, text)
		all.Go(func() {
			s, err := anna.client.Send(ctx, api.SendRequest{Contact: bob.ready.Account, Text: text, Wait: api.Kept, Timeout: api.Duration(faultTime)})
			if err != nil || s.State != api.Kept {
				t.Errorf("%q is %s, %v", text, s.State, err)
			}
		})
	}
	all.Wait()
	check(t, relay.kill())
	check(t, anna.kill())
	_, err = w.start(ctx, "relay", "relay", "--data", filepath.Join(w.dir, "relay"), "--listen", at)
	check(t, err)
	// Ever later, until the first kill that is too late.
	there := []int{1}
	for wait := 50 * time.Millisecond; there[len(there)-1] < len(want) && len(there) <= kills; wait += wait / 2 {
		bob, err = w.startNode(ctx, "bob", flags...)
		check(t, err)
		<-time.After(wait/2 + time.Duration(rng.Int64N(int64(wait/2))))
		check(t, bob.kill())
		there = append(there, len(autopsy(t, filepath.Join(w.dir, "bob")).theirs))
	}
	bob, err = w.startNode(ctx, "bob", flags...)
	check(t, err)
	var got []string
	awaits(t, ctx, "all to arrive", func() (bool, error) {
		list, err := bob.client.Messages(ctx, api.MessagesRequest{Contact: anna.ready.Account, Limit: api.MaxMessages})
		got = nil
		for _, m := range list {
			if m.Author == anna.ready.Account {
				got = append(got, m.Text)
			}
		}
		return len(got) >= len(want), err
	})
	slices.Sort(got) // they were sent at once, so their order is not ours
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%q arrived, want %q", got, want)
	}
	t.Logf("%d of %d messages arrived; at the kills there were %d", len(got), len(want), there)
}
