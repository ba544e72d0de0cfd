package relay

import (
	"fmt"
	"strings"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
)

// Allows is what a relay allows those who keep a box there, as it tells all of them.
type Allows struct {
	Leases     []string `json:"leases"`              // what pays for a box: open, token or work, any of them
	WorkBits   int      `json:"work_bits,omitempty"` // of that work; each more doubles it, 22 are about a second
	Keep       float64  `json:"keep"`                // the longest that a cell is kept, seconds
	QueueCells int64    `json:"queue_cells"`         // in one queue: what one contact leaves in a day
	QueueBytes int64    `json:"queue_bytes"`         // the same in bytes
	BoxBytes   int64    `json:"box_bytes"`           // in one box: what one device has waiting
	BoxQueues  int64    `json:"box_queues"`          // open in one box
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

// AllowsOf is what HELLO told.
func AllowsOf(l mailbox.Limits) Allows {
	a := Allows{
		Leases: []string{}, Keep: l.MaxTTL.Round(time.Second).Seconds(),
		QueueCells: int64(l.QueueCells), QueueBytes: int64(l.QueueBytes), BoxBytes: int64(l.BoxBytes), BoxQueues: int64(l.BoxQueues),
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
	return a
}
