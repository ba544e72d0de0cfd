package relay

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/godwit-im/godwit/p2p/mailbox"
)

// Allows is what a relay allows those who keep a box there, as it tells all of them.
type Allows struct {
	Leases   []string `json:"leases"`              // what pays for a box: open, token or work, any of them
	WorkBits int      `json:"work_bits,omitempty"` // of that work; each more doubles it, 22 are about a second
	Keep     float64  `json:"keep"`                // the longest that a cell is kept, seconds
	Room
	Token *Room `json:"token,omitempty"` // for whom a token pays; absent: for nobody, or an earlier version does not say
}

// Room is what one box has.
type Room struct {
	QueueCells int64   `json:"queue_cells"`     // in one queue: what one contact leaves in a day
	QueueBytes int64   `json:"queue_bytes"`     // the same in bytes
	BoxBytes   int64   `json:"box_bytes"`       // in the box: what one device has waiting
	BoxQueues  int64   `json:"box_queues"`      // open in the box
	Lease      float64 `json:"lease,omitempty"` // how long it lasts, seconds; 0: an earlier version does not say
}

// String says it in words.
func (r Room) String() string {
	text := fmt.Sprintf("%s for each device, %s or %s cells for each contact and day",
		humanize.IBytes(uint64(max(r.BoxBytes, 0))), humanize.IBytes(uint64(max(r.QueueBytes, 0))), humanize.Comma(r.QueueCells))
	if r.Lease > 0 {
		text += "; to be renewed within " + InWords(r.Lease)
	}
	return text
}

// Asks says in words what pays for a box.
func (a Allows) Asks() string {
	var pays []string
	for _, l := range a.Leases {
		switch l {
		case "open":
			pays = append(pays, "nothing")
		case "token":
			pays = append(pays, "a token")
		case "work":
			pays = append(pays, fmt.Sprintf("work of %d bits", a.WorkBits))
		}
	}
	return strings.Join(pays, " or ")
}

// AllowsOf is what HELLO told, and more if that was asked for.
func AllowsOf(l mailbox.Limits, more mailbox.Allowance) Allows {
	a := Allows{
		Leases: []string{}, Keep: l.MaxTTL.Round(time.Second).Seconds(),
		Room: roomOf(mailbox.Room{QueueCells: l.QueueCells, QueueBytes: l.QueueBytes, BoxBytes: l.BoxBytes, BoxQueues: l.BoxQueues}, more.Lease),
	}
	for _, k := range l.Leases {
		switch k {
		case mailbox.LeaseOpen:
			a.Leases = append(a.Leases, "open")
		case mailbox.LeaseToken:
			a.Leases = append(a.Leases, "token")
		case mailbox.LeaseWork:
			a.Leases, a.WorkBits = append(a.Leases, "work"), int(l.Difficulty)
		}
	}
	if more.Token != (mailbox.Room{}) {
		token := roomOf(more.Token, more.TokenLease)
		a.Token = &token
	}
	if len(l.Leases) == 1 && a.Token != nil { // there are no others
		a.Room = *a.Token
	}
	return a
}

func roomOf(r mailbox.Room, lease time.Duration) Room {
	return Room{QueueCells: int64(r.QueueCells), QueueBytes: int64(r.QueueBytes), BoxBytes: int64(r.BoxBytes), BoxQueues: int64(r.BoxQueues), Lease: lease.Seconds()}
}

// Bounds are what others are held to, as the settings are called; 0: none, or it is not told.
type Bounds struct {
	Connections      int64   `json:"connections"`
	GroupConnections int64   `json:"group_connections"`
	GroupRate        float64 `json:"group_rate"`  // a second
	GroupBoxes       int64   `json:"group_boxes"` // a day, without a token
	GroupSize        int64   `json:"group_size"`  // bytes left in a day, while more than half of the room is taken
	Daily            int64   `json:"daily"`       // bytes of mail that come and go in a day, of and to all
}

// BoundsOf is what was told.
func BoundsOf(a mailbox.Allowance) Bounds {
	return Bounds{int64(a.Connections), int64(a.GroupConnections), float64(a.GroupRate), int64(a.GroupBoxes), int64(a.GroupBytes), int64(a.Daily)}
}

func (b Bounds) String() string {
	text := "as many connections as come"
	if b.Connections > 0 {
		text = fmt.Sprintf("%s connections, %s from one group of addresses, which may begin %v a second", humanize.Comma(b.Connections), humanize.Comma(b.GroupConnections), b.GroupRate)
	}
	if b.GroupBoxes > 0 {
		text += fmt.Sprintf("; %s new boxes a day from one group without a token", humanize.Comma(b.GroupBoxes))
	}
	if b.GroupSize > 0 {
		text += fmt.Sprintf("; %s of mail a day from one group while it is more than half full", humanize.IBytes(uint64(b.GroupSize)))
	}
	if b.Daily > 0 {
		text += fmt.Sprintf("; %s of mail comes and goes in a day at most", humanize.IBytes(uint64(b.Daily)))
	}
	return text
}
