package store

import (
	"fmt"
	"time"

	"github.com/godwit-im/godwit/identity"
)

// Shut is the OpenedUntil of a queue that its relay has closed.
const Shut uint32 = 1<<32 - 1

// OwnQueue is a queue that we opened for a device, or for who comes by an
// invitation, at a relay. Seed is sealed on the disk.
type OwnQueue struct {
	ID           int64
	Device       *identity.DevicePublic // who was given it; nil for an invitation
	Invitation   *InvitationID          // nil for a device
	Relay        PeerID
	Seed         [32]byte
	Epoch0       uint32 // first epoch, days by the relay's clock
	N            uint32 // number of epochs
	OpenedUntil  uint32 // first epoch that is not open yet, or Shut
	Version      int64  // of the descriptors that told it
	Acknowledged time.Time
	Closed       time.Time
	Leaving      time.Time // when the device acknowledged descriptors without it; zero: it did not
	Prolonged    time.Time // until when its catch-all was prolonged; zero: it was not
}

const ownQueueColumns = "own_queues.id, own_queues.device, own_queues.invitation, own_queues.relay, own_queues.sealed, own_queues.epoch0, own_queues.n, " +
	"own_queues.opened_until, own_queues.version, own_queues.acknowledged, own_queues.closed, own_queues.leaving, own_queues.prolonged"

func (tx *Tx) scanOwnQueue(r row, more ...any) (q OwnQueue, err error) {
	var sealed, invitation []byte
	dest := append([]any{&q.ID, maybe32(&q.Device), &invitation, peerID{&q.Relay}, &sealed, &q.Epoch0, &q.N, &q.OpenedUntil, &q.Version,
		stamp{&q.Acknowledged}, stamp{&q.Closed}, stamp{&q.Leaving}, stamp{&q.Prolonged}}, more...)
	if err = r.Scan(dest...); err != nil {
		return q, err
	}
	if invitation != nil {
		q.Invitation = new(InvitationID)
		if err := fixed(q.Invitation[:]).Scan(invitation); err != nil {
			return q, err
		}
	}
	value, err := tx.store.rows.open("own_queues", rowID(q.ID), sealed)
	if err != nil {
		return q, err
	}
	return q, fixed(q.Seed[:]).Scan(value)
}

func (tx *Tx) scanQueue(r row) (OwnQueue, error) { return tx.scanOwnQueue(r) }

// InsertOwnQueue keeps a queue and returns its id.
func (tx *Tx) InsertOwnQueue(q OwnQueue) (int64, error) {
	id, err := tx.nextID("SELECT coalesce(max(id), 0) + 1 FROM own_queues")
	if err != nil {
		return 0, err
	}
	var invitation any
	if q.Invitation != nil {
		invitation = q.Invitation[:]
	}
	return tx.insert(`INSERT INTO own_queues (id, device, invitation, relay, sealed, epoch0, n, opened_until, version, acknowledged, closed, leaving, prolonged)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		id, null32(q.Device), invitation, []byte(q.Relay), tx.store.rows.seal("own_queues", rowID(id), q.Seed[:]),
		q.Epoch0, q.N, q.OpenedUntil, q.Version, ms(q.Acknowledged), ms(q.Closed), ms(q.Leaving), ms(q.Prolonged))
}

// OwnQueue returns a queue.
func (tx *Tx) OwnQueue(id int64) (OwnQueue, error) {
	return one(tx, tx.scanQueue, "SELECT "+ownQueueColumns+" FROM own_queues WHERE id = ?", id)
}

// OwnQueuesAt returns the queues at a relay that are not closed.
func (tx *Tx) OwnQueuesAt(relay PeerID) ([]OwnQueue, error) {
	return all(tx, tx.scanQueue, "SELECT "+ownQueueColumns+" FROM own_queues WHERE relay = ? AND closed IS NULL ORDER BY id", []byte(relay))
}

// OwnQueuesFor returns the queues that a device was given and that are not closed.
func (tx *Tx) OwnQueuesFor(device identity.DevicePublic) ([]OwnQueue, error) {
	return all(tx, tx.scanQueue, "SELECT "+ownQueueColumns+" FROM own_queues WHERE device = ? AND closed IS NULL ORDER BY id", device[:])
}

// OwnQueuesOf returns the queues of an invitation, closed or not.
func (tx *Tx) OwnQueuesOf(id InvitationID) ([]OwnQueue, error) {
	return all(tx, tx.scanQueue, "SELECT "+ownQueueColumns+" FROM own_queues WHERE invitation = ? ORDER BY id", id[:])
}

// SetOpened notes the first epoch that is not open at the relay yet.
func (tx *Tx) SetOpened(id int64, until uint32) error {
	return tx.must("UPDATE own_queues SET opened_until = ? WHERE id = ?", until, id)
}

// AcknowledgeQueues notes that a device acknowledged descriptors of a version,
// and so all of the older ones.
func (tx *Tx) AcknowledgeQueues(device identity.DevicePublic, version int64, at time.Time) error {
	return tx.run("UPDATE own_queues SET acknowledged = ? WHERE device = ? AND version <= ? AND acknowledged IS NULL", at.UnixMilli(), device[:], version)
}

// SetQueueVersion notes the version of the descriptors that tell a queue.
func (tx *Tx) SetQueueVersion(id, version int64) error {
	return tx.must("UPDATE own_queues SET version = ? WHERE id = ?", version, id)
}

// LeaveQueues notes that a device knows that it is not to use its queues at relays
// that were given up: it acknowledged descriptors without them.
func (tx *Tx) LeaveQueues(device identity.DevicePublic, at time.Time) error {
	return tx.run("UPDATE own_queues SET leaving = ? WHERE device = ? AND leaving IS NULL AND relay IN (SELECT peer FROM relays WHERE removed IS NOT NULL)", at.UnixMilli(), device[:])
}

// ResumeQueues takes back what LeaveQueues noted of a relay.
func (tx *Tx) ResumeQueues(relay PeerID) error {
	return tx.run("UPDATE own_queues SET leaving = NULL WHERE relay = ?", []byte(relay))
}

// ProlongQueue notes until when the catch-all of a queue stays open.
func (tx *Tx) ProlongQueue(id int64, until time.Time) error {
	return tx.must("UPDATE own_queues SET prolonged = ? WHERE id = ?", until.UnixMilli(), id)
}

// ClosedQueuesAt returns the queues that are used no more and that a relay may still
// have open.
func (tx *Tx) ClosedQueuesAt(relay PeerID) ([]OwnQueue, error) {
	return all(tx, tx.scanQueue, "SELECT "+ownQueueColumns+" FROM own_queues WHERE relay = ? AND closed IS NOT NULL AND opened_until > epoch0 AND opened_until < ? ORDER BY id",
		[]byte(relay), Shut)
}

// CloseQueue notes that a queue is used no more, and forgets its ids. The row stays
// until the relay has closed it too.
func (tx *Tx) CloseQueue(id int64, at time.Time) error {
	if err := tx.run("DELETE FROM queue_ids WHERE queue = ?", id); err != nil {
		return err
	}
	return tx.must("UPDATE own_queues SET closed = ? WHERE id = ?", at.UnixMilli(), id)
}

// PutQueueID notes the name of a queue in an epoch.
func (tx *Tx) PutQueueID(qid QueueID, queue int64, epoch uint32) error {
	return tx.run("INSERT OR REPLACE INTO queue_ids (qid, queue, epoch) VALUES (?, ?, ?)", qid[:], queue, epoch)
}

// QueueByID returns the queue that has this name, and in which epoch.
func (tx *Tx) QueueByID(qid QueueID) (OwnQueue, uint32, error) {
	var epoch uint32
	q, err := one(tx, func(r row) (OwnQueue, error) { return tx.scanOwnQueue(r, &epoch) },
		"SELECT "+ownQueueColumns+", queue_ids.epoch FROM queue_ids JOIN own_queues ON own_queues.id = queue_ids.queue WHERE qid = ?", qid[:])
	return q, epoch, err
}

// ForgetQueueIDs forgets the names of a queue in epochs before one.
func (tx *Tx) ForgetQueueIDs(queue int64, before uint32) error {
	return tx.run("DELETE FROM queue_ids WHERE queue = ? AND epoch < ?", queue, before)
}

// TheirQueue is a queue that we may write to. Seed is sealed on the disk.
type TheirQueue struct {
	Device  identity.DevicePublic
	Relay   PeerID
	Addrs   [][]byte // multiaddrs, in bytes
	Seed    [32]byte
	Epoch0  uint32
	N       uint32
	Expires time.Time
	Version int64
	Extra   bool // at a friend's computer, which counts for nothing
}

// theirQueueID binds a sealed seed to its row: device ‖ relay.
func theirQueueID(d identity.DevicePublic, relay PeerID) []byte { return append(d[:], relay...) }

// PutTheirQueues replaces what a device told of its queues, if version is newer
// than what we have, and tells whether it was. An empty list is remembered only
// as the absence of queues: a device that has none cannot be told by an older
// list to have some, so callers keep such a version themselves.
func (tx *Tx) PutTheirQueues(device identity.DevicePublic, version int64, queues []TheirQueue) (newer bool, err error) {
	have, err := one(tx, integer, "SELECT coalesce(max(version), -1) FROM their_queues WHERE device = ?", device[:])
	if err != nil || version <= have {
		return false, err
	}
	if err := tx.run("DELETE FROM their_queues WHERE device = ?", device[:]); err != nil {
		return false, err
	}
	for _, q := range queues {
		list, err := encodeList(q.Addrs)
		if err != nil {
			return false, fmt.Errorf("store: queue: %w", err)
		}
		err = tx.run("INSERT INTO their_queues (device, relay, addrs, sealed, epoch0, n, expires, version, extra) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			device[:], []byte(q.Relay), list, tx.store.rows.seal("their_queues", theirQueueID(device, q.Relay), q.Seed[:]),
			q.Epoch0, q.N, q.Expires.UnixMilli(), version, q.Extra)
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// MoveTheirQueues notes where the relay of queues that a device told us of listens now.
func (tx *Tx) MoveTheirQueues(device identity.DevicePublic, relay PeerID, addrs [][]byte) error {
	list, err := encodeList(addrs)
	if err != nil {
		return fmt.Errorf("store: queue: %w", err)
	}
	return tx.run("UPDATE their_queues SET addrs = ? WHERE device = ? AND relay = ?", list, device[:], []byte(relay))
}

// TheirQueues returns the queues that a device told us to write to.
func (tx *Tx) TheirQueues(device identity.DevicePublic) ([]TheirQueue, error) {
	return all(tx, func(r row) (q TheirQueue, err error) {
		var sealed []byte
		q.Device = device
		if err = r.Scan(peerID{&q.Relay}, addrs{&q.Addrs}, &sealed, &q.Epoch0, &q.N, stamp{&q.Expires}, &q.Version, &q.Extra); err != nil {
			return q, err
		}
		value, err := tx.store.rows.open("their_queues", theirQueueID(device, q.Relay), sealed)
		if err != nil {
			return q, err
		}
		return q, fixed(q.Seed[:]).Scan(value)
	}, "SELECT relay, addrs, sealed, epoch0, n, expires, version, extra FROM their_queues WHERE device = ? ORDER BY relay", device[:])
}
