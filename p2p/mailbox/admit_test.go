package mailbox_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
)

// slow is a store that takes some time for whatever it is given.
type slow struct {
	*mailboxtest.Memory
	takes atomic.Int64 // nanoseconds
}

func (s *slow) Commit(now time.Time, changes []mailbox.Change) error {
	time.Sleep(time.Duration(s.takes.Load()))
	return s.Memory.Commit(now, changes)
}

// The relay's disk takes a quarter of a minute for whatever it is given. Those who come while somebody has waited
// for ten seconds are told at once to try later, and those who waited for as long when their turn comes are told
// with their group; others wait, and have their receipts. Bob can delete all the while, however long it
// takes. Once the disk is well all goes as before.
func TestTheDiskIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := pipeHosts(t, 3)
		store := &slow{Memory: mailboxtest.NewMemory(mailbox.DefaultQuotas(), 0)}
		r := serveOn(t, hosts[0], terms{sign: hosts[0].key, store: store})
		bob := r.via(t, hosts[1]).moveIn()
		defer bob.Close()
		d := bob.describe()
		alice := r.via(t, hosts[2])
		defer alice.Close()
		queue := d.Queue(alice.Epoch())
		deposit := func() error {
			_, err := alice.Put(t.Context(), queue.Write, small(), time.Hour)
			return err
		}
		if err := deposit(); err != nil {
			t.Fatal(err)
		}
		entries, _, err := bob.List(t.Context(), 0)
		if err != nil || len(entries) != 1 {
			t.Fatalf("%d cells: %v", len(entries), err)
		}

		const takes = 15 * time.Second
		store.takes.Store(int64(takes))
		began := time.Now()
		var people sync.WaitGroup
		at := func(comes, answered time.Duration, want error, what func() error) {
			people.Go(func() {
				time.Sleep(comes - time.Since(began))
				if err := what(); !errors.Is(err, want) {
					t.Errorf("who comes after %v: %v, want %v", comes, err, want)
				}
				if took := time.Since(began); took < answered || took > answered+time.Second {
					t.Errorf("who comes after %v is answered after %v, want %v", comes, took, answered)
				}
			})
		}
		at(0, takes, nil, deposit)
		at(2*time.Second, 2*takes, mailbox.ErrTryLater, deposit)
		at(3*time.Second, 2*takes, nil, func() error {
			n, err := bob.Ack(t.Context(), entries[0].Cell)
			if n != 1 {
				t.Errorf("%d cells deleted", n)
			}
			return err
		})
		at(6*time.Second, 2*takes, nil, deposit)
		at(11*time.Second, 11*time.Second, mailbox.ErrTryLater, deposit)
		at(12*time.Second, 12*time.Second, mailbox.ErrTryLater, func() error {
			return bob.Open(t.Context(), mailbox.Ordinary, bob.Now().Add(time.Hour), mailbox.QID{1})
		})
		at(14*time.Second, 14*time.Second, nil, func() error {
			_, err := bob.Get(t.Context(), entries[0].Cell)
			return err
		})
		people.Wait()

		store.takes.Store(0)
		if err := deposit(); err != nil {
			t.Fatal("the disk is well again:", err)
		}
		if entries, _, err = bob.List(t.Context(), 0); err != nil || len(entries) != 3 {
			t.Fatalf("%d cells are kept, of 3 that were promised: %v", len(entries), err)
		}
	})
}
