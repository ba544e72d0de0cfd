package mailbox_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
	"github.com/godwit-im/godwit/p2p/p2ptest"
)

// held is a store whose deposits wait until they are let go.
type held struct {
	*mailboxtest.Memory
	begun chan struct{} // gets one when the first begin
	let   chan struct{} // closed when they may go on
	kept  atomic.Int64
}

func (h *held) Commit(now time.Time, changes []mailbox.Change) error {
	deposits := int64(0)
	for _, c := range changes {
		if _, ok := c.(*mailbox.Deposit); ok {
			deposits++
		}
	}
	if deposits > 0 {
		select {
		case h.begun <- struct{}{}:
		default:
		}
		<-h.let
	}
	h.kept.Add(deposits)
	return h.Memory.Commit(now, changes)
}

// A relay is stopped while Alice leaves cells there. She learns of each that it took in
// that it is kept, and of no other. Bob's connection, on which nothing is asked, ends at once. Carol,
// who comes now, is told to try later.
func TestDrain(t *testing.T) {
	store := &held{Memory: mailboxtest.NewMemory(mailbox.DefaultQuotas(), 0), begun: make(chan struct{}, 1), let: make(chan struct{})}
	h := p2ptest.Loopback(t).Host()
	server, err := mailbox.NewServer(h, h.Peerstore().PrivKey(h.ID()), store, mailbox.ServerConfig{Leases: []mailbox.LeaseKind{mailbox.LeaseOpen}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	r := &relay{infoOf(h), server, store}
	bob, alice := r.as(t).moveIn(), r.as(t)
	d, err := mailbox.NewDescriptor(r.info, bob.Now(), bob.Limits())
	if err != nil {
		t.Fatal(err)
	}
	queue := d.Queue(bob.Epoch())
	if err := bob.Open(t.Context(), mailbox.Ordinary, d.Expiry, queue.Write.QID()); err != nil {
		t.Fatal(err)
	}

	var leaving sync.WaitGroup
	var promised atomic.Int64
	for range 64 {
		leaving.Go(func() {
			for range 4 {
				_, err := alice.Put(t.Context(), queue.Write, mailboxtest.Random(mailbox.CellSmall), 0)
				switch {
				case err == nil:
					promised.Add(1)
				case errors.Is(err, mailbox.ErrClosed), errors.Is(err, mailbox.ErrTryLater):
				default:
					t.Error(err)
				}
			}
		})
	}
	<-store.begun
	stop()
	<-bob.Done()
	carol := p2ptest.Loopback(t).Host()
	if _, err := mailbox.Dial(t.Context(), carol, r.info); !errors.Is(err, mailbox.ErrTryLater) {
		t.Error("Carol:", err)
	}
	close(store.let)
	leaving.Wait()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if promised.Load() == 0 || promised.Load() != store.kept.Load() {
		t.Errorf("%d cells are promised and %d kept", promised.Load(), store.kept.Load())
	}
}
