package relay

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/disk"
	"github.com/godwit-im/godwit/p2p/node"
)

// Limits are what a relay gives to others, which can be changed while it runs. The zero
// values stand for what the comments say.
type Limits struct {
	MaxDisk int64          // cap, bytes; 10 GiB
	Quotas  mailbox.Quotas // of queues and boxes; mailbox.DefaultQuotas
	// How long a lease lasts, and one that a token pays for, in whole seconds; mailbox.LeaseTime, and as for the others.
	Lease, TokenLease time.Duration
	Leases            []mailbox.LeaseKind // what pays for a box; nil: in loopback LeaseOpen, else LeaseWork, and LeaseToken if there are any
	Work              uint8               // for LeaseWork, bits; DefaultDifficulty
	Tokens            [][]byte            // for LeaseToken, 16 to 64 bytes each; none
	Friends           [][]byte            // the same, each for one box alone: its mailbox.FriendBox; none
	Former            [][]byte            // were friends' before, and are not any more: their boxes take nothing more; none
	Keep              time.Duration       // the longest that anything is kept, in whole seconds; mailbox.MaxTTL, which is also the most
	Closed            bool                // nothing new is taken, and what is kept is given out
	// Bounds of connections; those of node.DefaultBounds, for friends alone FriendBounds, and on
	// loopback, where all are of one group, none.
	Bounds node.Bounds
	// GroupBoxes is how many boxes one group of addresses may open in a day that no token paid
	// for; 256, on loopback any number.
	GroupBoxes int
	// GroupBytes is how many bytes of mail one group of addresses may leave in a day while more than half of
	// MaxDisk is taken, and less of its last tenth (SPEC.md of the mailbox, section 3); an eighth of MaxDisk, but 64 MiB at the least, on loopback any number.
	GroupBytes int64
	// Daily is how many bytes of mail may come and go in a day, of and to all together, half of them to come; any number.
	Daily int64
}

// ErrLimits says that Limits are not to be used.
var ErrLimits = errors.New("relay: limits")

// usualBoxes is how many boxes a group of addresses may open in a day: a school's on its
// first day, and far fewer than would fill a relay by what they cost it in queues.
const usualBoxes = 256

// The least that Bounds can be.
const minConnections, minGroup = 64, 8

// minDaily is the least that Limits.Daily can be, beside nothing: some of the largest cells.
const minDaily = 1 << 20

// FriendBounds are those of a relay that is for friends alone: theirs, and those of the people
// who write to them.
func FriendBounds() node.Bounds { return node.Bounds{Connections: 256, Group: 64, Rate: 8} }

// in puts what is not said in its place, for a mode; friends says that it is all for friends, and
// their tokens alone pay. Its error tells what cannot be.
func (l Limits) in(m node.Mode, friends bool) (Limits, error) {
	if l.MaxDisk == 0 {
		l.MaxDisk = disk.DefaultMaxBytes
	}
	if l.Quotas.Room == (mailbox.Room{}) {
		l.Quotas.Room = mailbox.DefaultQuotas().Room
	}
	l.Lease = cmp.Or(l.Lease, mailbox.LeaseTime)
	l.TokenLease = cmp.Or(l.TokenLease, l.Lease)
	if l.Work == 0 {
		l.Work = DefaultDifficulty
	}
	if l.Keep == 0 {
		l.Keep = mailbox.MaxTTL
	}
	if l.Leases == nil {
		l.Leases = []mailbox.LeaseKind{mailbox.LeaseWork}
		if m == node.Loopback {
			l.Leases = []mailbox.LeaseKind{mailbox.LeaseOpen}
		}
		if len(l.Tokens) > 0 {
			l.Leases = append(l.Leases, mailbox.LeaseToken)
		}
	}
	slices.Sort(l.Leases)
	usual := node.DefaultBounds()
	if friends { // who have none yet
		l.Leases, l.Work = []mailbox.LeaseKind{mailbox.LeaseToken}, 0
		usual = FriendBounds()
	}
	if m != node.Loopback || l.Bounds != (node.Bounds{}) {
		l.Bounds.Connections = cmp.Or(l.Bounds.Connections, usual.Connections)
		l.Bounds.Group = cmp.Or(l.Bounds.Group, min(usual.Group, l.Bounds.Connections))
		l.Bounds.Rate = cmp.Or(l.Bounds.Rate, usual.Rate)
	}
	if m != node.Loopback {
		l.GroupBoxes = cmp.Or(l.GroupBoxes, usualBoxes)
		l.GroupBytes = cmp.Or(l.GroupBytes, max(l.MaxDisk/8, 64<<20))
	}
	switch {
	case friends:
	case slices.Contains(l.Leases, mailbox.LeaseToken) && len(l.Tokens) == 0:
		return l, fmt.Errorf("%w: nobody has a token, so nobody could have a box", ErrLimits)
	case !slices.Contains(l.Leases, mailbox.LeaseWork):
		l.Work = 0
	}
	return l, l.room()
}

// room says whether there is room for anything.
func (l Limits) room() error {
	small := func(r mailbox.Room) bool {
		return r.QueueCells == 0 || r.QueueBytes < mailbox.CellLarge || r.BoxQueues == 0 || r.BoxBytes < mailbox.CellLarge
	}
	switch b := l.Bounds; {
	case l.MaxDisk < 0:
		return fmt.Errorf("%w: a negative cap", ErrLimits)
	case l.GroupBytes < 0:
		return fmt.Errorf("%w: a negative number of bytes", ErrLimits)
	case l.Daily < 0 || l.Daily > 0 && l.Daily < minDaily:
		return fmt.Errorf("%w: less than %d bytes a day", ErrLimits, minDaily)
	case l.GroupBoxes < 0:
		return fmt.Errorf("%w: a negative number of boxes", ErrLimits)
	case b != (node.Bounds{}) && (b.Connections < minConnections || b.Group < minGroup || b.Rate < 1):
		return fmt.Errorf("%w: it must take at least %d connections, at least %d of them from one group of addresses, and one a second", ErrLimits, minConnections, minGroup)
	case b.Group > b.Connections:
		return fmt.Errorf("%w: group_connections, %d for one group of addresses, is more than connections, %d for all together", ErrLimits, b.Group, b.Connections)
	case small(l.Quotas.Room), small(l.Quotas.Of(true)):
		return fmt.Errorf("%w: a queue and a box must have room for one cell of 64 KiB", ErrLimits)
	}
	return nil
}

// terms are the limits as the mailbox knows them.
func (l Limits) terms(m node.Mode) mailbox.ServerConfig {
	t := mailbox.ServerConfig{Quotas: l.Quotas, Leases: l.Leases, Difficulty: l.Work, Tokens: l.Tokens, Friends: l.Friends, Former: l.Former, MaxTTL: l.Keep, Closed: l.Closed, Streams: l.Bounds.Connections, GroupBoxes: l.GroupBoxes, GroupBytes: uint64(l.GroupBytes), Daily: uint64(l.Daily),
		LeaseTime: l.Lease, TokenLeaseTime: l.TokenLease, Bounds: l.Bounds}
	if m == node.Loopback {
		t.IntroWork = 1
	}
	return t
}

// SetLimits changes the limits while the relay runs, all of them or, on an error, none. What
// is kept stays, and what streams that are there were told holds for them.
func (r *Relay) SetLimits(l Limits) error {
	l, err := l.in(r.cfg.Mode, r.cfg.Friends)
	if err != nil {
		return err
	}
	r.limits.Lock()
	defer r.limits.Unlock()
	old := r.limits.now
	if l.Bounds.Connections > max(r.limits.asked, r.limits.most) {
		return fmt.Errorf("%w: it was started for %d connections, and takes more only when it is started anew", ErrLimits, r.limits.most)
	}
	l.Bounds = atMost(l.Bounds, r.limits.most)
	if err := r.limitStore(old, l); err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	if err := r.server.SetTerms(l.terms(r.cfg.Mode)); err != nil {
		return errors.Join(fmt.Errorf("relay: %w", err), r.limitStore(l, old))
	}
	r.node.SetBounds(l.Bounds)
	r.limits.now = l
	select {
	case r.changed <- struct{}{}:
	default:
	}
	r.log.Info("the limits were read anew", "changed", strings.Join(changed(old, l), ", "))
	return nil
}

// atMost are bounds with so many connections.
func atMost(b node.Bounds, connections int) node.Bounds {
	b.Connections = min(b.Connections, connections)
	b.Group = min(b.Group, connections)
	return b
}

// limitStore changes what the Store enforces. One that several relays share cannot have
// another limit with one of them.
func (r *Relay) limitStore(from, to Limits) error {
	if from.MaxDisk == to.MaxDisk && from.Quotas == to.Quotas {
		return nil
	}
	if s, ok := r.store.(interface {
		SetLimits(maxBytes uint64, q mailbox.Quotas) error
	}); ok {
		return s.SetLimits(uint64(to.MaxDisk), to.Quotas)
	}
	return errors.New("a store that relays share takes max_disk and the limits of queues and boxes only when they are started")
}

// room is how much of what there may be is taken.
func (r *Relay) room() (taken, all uint64) {
	return r.store.Usage().Disk, uint64(r.Limits().MaxDisk)
}

// Limits are those that hold now.
func (r *Relay) Limits() Limits {
	r.limits.Lock()
	defer r.limits.Unlock()
	return r.limits.now
}

// Reloaded says what reading the settings anew came to.
type Reloaded struct {
	Changed []string `json:"changed,omitempty"` // settings that hold from now on
	Later   []string `json:"restart,omitempty"` // settings that hold once the relay is started anew
}

// Reload reads the limits anew, as Config says, and tells what changed. On an error nothing is changed.
func (r *Relay) Reload() (what Reloaded, err error) {
	if r.cfg.Reload == nil {
		return what, errors.New("relay: it was not told where its limits are")
	}
	old := r.Limits()
	l, later, err := r.cfg.Reload()
	if err == nil {
		err = r.SetLimits(l)
	}
	if err != nil {
		r.log.Error("the limits could not be read anew, and stay as they were", "error", err)
		return what, err
	}
	if len(later) > 0 {
		r.log.Warn("settings have changed that hold only once the relay is started anew", "settings", strings.Join(later, ", "))
	}
	return Reloaded{Changed: changed(old, r.Limits()), Later: later}, nil
}

// changed names what differs, as the settings are called.
func changed(a, b Limits) (names []string) {
	note := func(name string, differs bool) {
		if differs {
			names = append(names, name)
		}
	}
	note("max_disk", a.MaxDisk != b.MaxDisk)
	note("queue_cells", a.Quotas.QueueCells != b.Quotas.QueueCells)
	note("queue_size", a.Quotas.QueueBytes != b.Quotas.QueueBytes)
	note("box_queues", a.Quotas.BoxQueues != b.Quotas.BoxQueues)
	note("box_size", a.Quotas.BoxBytes != b.Quotas.BoxBytes)
	t, u := a.Quotas.Token, b.Quotas.Token
	note("token_queue_cells", t.QueueCells != u.QueueCells)
	note("token_queue_size", t.QueueBytes != u.QueueBytes)
	note("token_box_queues", t.BoxQueues != u.BoxQueues)
	note("token_box_size", t.BoxBytes != u.BoxBytes)
	note("lease_days", a.Lease != b.Lease)
	note("token_lease_days", a.TokenLease != b.TokenLease)
	note("lease", !slices.Equal(a.Leases, b.Leases))
	note("lease_work", a.Work != b.Work)
	note("lease_token", !slices.EqualFunc(a.Tokens, b.Tokens, bytes.Equal))
	note("friends", !slices.EqualFunc(a.Friends, b.Friends, bytes.Equal))
	note("keep", a.Keep != b.Keep)
	note("closed", a.Closed != b.Closed)
	note("connections", a.Bounds.Connections != b.Bounds.Connections)
	note("group_connections", a.Bounds.Group != b.Bounds.Group)
	note("group_rate", a.Bounds.Rate != b.Bounds.Rate)
	note("group_boxes", a.GroupBoxes != b.GroupBoxes)
	note("daily", a.Daily != b.Daily)
	note("group_size", a.GroupBytes != b.GroupBytes)
	return names
}
