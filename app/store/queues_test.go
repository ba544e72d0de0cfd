package store

import (
	"errors"
	"testing"
	"time"
)

func TestOwnQueues(t *testing.T) {
	s := openNew(t)
	invitation := InvitationID{4}
	device := bobsPhone
	forBob := OwnQueue{Device: &device, Relay: "relay", Seed: [32]byte{1}, Epoch0: 20_000, N: 45, OpenedUntil: 20_010, Version: 7}
	forAny := OwnQueue{Invitation: &invitation, Relay: "relay", Seed: [32]byte{2}, Epoch0: 20_000, N: 1, OpenedUntil: 20_001}
	update(t, s, func(tx *Tx) (err error) {
		if err := tx.InsertInvitation(Invitation{ID: invitation, Kind: 1, Created: day0(), Expires: day0(), State: InvitationOpen}); err != nil {
			return err
		}
		if forBob.ID, err = tx.InsertOwnQueue(forBob); err != nil {
			return err
		}
		if forAny.ID, err = tx.InsertOwnQueue(forAny); err != nil {
			return err
		}
		const catchAll = 1<<32 - 1
		return errors.Join(tx.PutQueueID(QueueID{1}, forBob.ID, 20_000), tx.PutQueueID(QueueID{2}, forBob.ID, catchAll), tx.PutQueueID(QueueID{3}, forAny.ID, 20_000))
	})
	queues := func(verb func(*Tx) ([]OwnQueue, error)) []OwnQueue { t.Helper(); return get(t, s, verb) }
	same(t, "at the relay", queues(func(tx *Tx) ([]OwnQueue, error) { return tx.OwnQueuesAt("relay") }), []OwnQueue{forBob, forAny})
	same(t, "Bob's", queues(func(tx *Tx) ([]OwnQueue, error) { return tx.OwnQueuesFor(bobsPhone) }), []OwnQueue{forBob})
	same(t, "the invitation's", queues(func(tx *Tx) ([]OwnQueue, error) { return tx.OwnQueuesOf(invitation) }), []OwnQueue{forAny})
	update(t, s, func(tx *Tx) error {
		q, epoch, err := tx.QueueByID(QueueID{2})
		same(t, "queue of a cell", q, forBob)
		same(t, "epoch", epoch, 1<<32-1)
		if err != nil {
			return err
		}
		return errors.Join(tx.SetOpened(forBob.ID, 20_020), tx.AcknowledgeQueues(bobsPhone, 6, day0()))
	})
	forBob.OpenedUntil = 20_020
	same(t, "an older acknowledgement", get(t, s, func(tx *Tx) (OwnQueue, error) { return tx.OwnQueue(forBob.ID) }), forBob)
	update(t, s, func(tx *Tx) error { return tx.AcknowledgeQueues(bobsPhone, 7, day0()) })
	forBob.Acknowledged = day0()
	same(t, "acknowledged", get(t, s, func(tx *Tx) (OwnQueue, error) { return tx.OwnQueue(forBob.ID) }), forBob)

	// It can be left once its relay is given up, and not before.
	relay := Relay{Peer: "relay", Source: RelayByHand, Added: day0()}
	update(t, s, func(tx *Tx) error { return errors.Join(tx.PutRelay(relay), tx.LeaveQueues(bobsPhone, day0())) })
	same(t, "its relay is in use", get(t, s, func(tx *Tx) (OwnQueue, error) { return tx.OwnQueue(forBob.ID) }), forBob)
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.RemoveRelay("relay", day0()), tx.LeaveQueues(bobsPhone, day0()), tx.ProlongQueue(forBob.ID, day0()))
	})
	forBob.Leaving, forBob.Prolonged = day0(), day0()
	same(t, "left", get(t, s, func(tx *Tx) (OwnQueue, error) { return tx.OwnQueue(forBob.ID) }), forBob)
	update(t, s, func(tx *Tx) error { return tx.ResumeQueues("relay") })
	forBob.Leaving = time.Time{}
	same(t, "used again", get(t, s, func(tx *Tx) (OwnQueue, error) { return tx.OwnQueue(forBob.ID) }), forBob)
	update(t, s, func(tx *Tx) error { return tx.DeleteRelay("relay") })

	update(t, s, func(tx *Tx) error {
		if err := tx.ForgetQueueIDs(forBob.ID, 20_001); err != nil {
			return err
		}
		_, _, err := tx.QueueByID(QueueID{1})
		is(t, "a day that is over", err, ErrNotFound)
		if err := errors.Join(tx.SetQueueVersion(forBob.ID, 8), tx.CloseQueue(forBob.ID, day0())); err != nil {
			return err
		}
		_, _, err = tx.QueueByID(QueueID{2})
		is(t, "a closed queue", err, ErrNotFound)
		_, _, err = tx.QueueByID(QueueID{3})
		return err
	})
	same(t, "still open", queues(func(tx *Tx) ([]OwnQueue, error) { return tx.OwnQueuesAt("relay") }), []OwnQueue{forAny})

	// It is remembered until the relay has closed it, or is none of ours any more.
	closedAt := func() []OwnQueue {
		return queues(func(tx *Tx) ([]OwnQueue, error) { return tx.ClosedQueuesAt("relay") })
	}
	remembered := func(now time.Time) bool {
		t.Helper()
		if err := s.Maintain(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		found := false
		view(t, s, func(tx *Tx) error {
			_, err := tx.OwnQueue(forBob.ID)
			found = err == nil
			return nil
		})
		return found
	}
	update(t, s, func(tx *Tx) error { return tx.PutRelay(Relay{Peer: "relay", Source: RelayByHand, Added: day0()}) })
	same(t, "closed here, open there", len(closedAt()), 1)
	same(t, "remembered", remembered(day0()), true)
	same(t, "remembered for a while", remembered(day0().Add(ClosedFor-time.Second)), true)
	update(t, s, func(tx *Tx) error { return tx.SetOpened(forBob.ID, Shut) })
	same(t, "closed there", len(closedAt()), 0)
	same(t, "remembered", remembered(day0()), false)
}

func TestTheirNewestQueuesCount(t *testing.T) {
	s := openNew(t)
	queue := func(relay PeerID, version int64) TheirQueue {
		return TheirQueue{Device: bobsPhone, Relay: relay, Addrs: [][]byte{[]byte(relay)}, Seed: [32]byte{byte(version)}, Epoch0: 20_000, N: 45,
			Expires: day0().Add(24 * time.Hour), Version: version}
	}
	first, second := []TheirQueue{queue("r1", 1), queue("r2", 1)}, []TheirQueue{queue("r2", 2), queue("r3", 2)}
	update(t, s, func(tx *Tx) error {
		for _, step := range []struct {
			version int64
			queues  []TheirQueue
			newer   bool
		}{{1, first, true}, {2, second, true}, {1, first, false}, {2, first, false}} {
			newer, err := tx.PutTheirQueues(bobsPhone, step.version, step.queues)
			same(t, "newer", newer, step.newer)
			if err != nil {
				return err
			}
		}
		return nil
	})
	theirs := func() []TheirQueue {
		return get(t, s, func(tx *Tx) ([]TheirQueue, error) { return tx.TheirQueues(bobsPhone) })
	}
	same(t, "queues", theirs(), second)
	if err := s.Maintain(t.Context(), day0().Add(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	same(t, "past their time, by a clock that may be wrong", theirs(), second)
}
