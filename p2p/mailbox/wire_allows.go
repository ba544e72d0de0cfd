package mailbox

import (
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// Allowance is what a relay allows beside its Limits. What is 0 it does not tell, or does not bound.
type Allowance struct {
	Lease      time.Duration // how long a lease lasts
	TokenLease time.Duration // how long one that a token pays for
	Token      Room          // of a box that a token pays for; of others the Limits tell
	// Bounds of what others may have and do, a group being their addresses' (SPEC.md, section 3).
	Connections      uint64 // at once
	GroupConnections uint64 // of these, from one group
	GroupRate        uint64 // that one group may begin a second
	GroupBoxes       uint64 // that one group may open in a day without a token
	GroupBytes       uint64 // that one group may leave in a day while room is scarce
	Daily            uint64 // bytes that may come and go in a day, of all together
}

// What an answer to ALLOWS tells. More may come, which is passed over by who does not know it.
const (
	tellsLease            = 1
	tellsTokenLease       = 2
	tellsTokenQueueCells  = 3
	tellsTokenQueueBytes  = 4
	tellsTokenBoxBytes    = 5
	tellsTokenBoxQueues   = 6
	tellsConnections      = 7
	tellsGroupConnections = 8
	tellsGroupRate        = 9
	tellsGroupBoxes       = 10
	tellsGroupBytes       = 11
	tellsDaily            = 12
)

// told is one thing that ALLOWS tells.
type told struct {
	what  uint8
	value uint64 // not 0
}

// told is the Allowance as the wire has it.
func (a Allowance) told() (list []told) {
	for what, v := range [...]uint64{
		tellsLease: uint64(a.Lease / time.Second), tellsTokenLease: uint64(a.TokenLease / time.Second),
		tellsTokenQueueCells: uint64(a.Token.QueueCells), tellsTokenQueueBytes: uint64(a.Token.QueueBytes),
		tellsTokenBoxBytes: a.Token.BoxBytes, tellsTokenBoxQueues: uint64(a.Token.BoxQueues),
		tellsConnections: a.Connections, tellsGroupConnections: a.GroupConnections, tellsGroupRate: a.GroupRate, tellsGroupBoxes: a.GroupBoxes,
		tellsGroupBytes: a.GroupBytes, tellsDaily: a.Daily,
	} {
		if v != 0 {
			list = append(list, told{uint8(what), v})
		}
	}
	return list
}

// allowanceOf is what was told, as far as it is known here. Values beyond what they can be are the most
// that they can be.
func allowanceOf(list []told) (a Allowance) {
	const longest = 100 * 365 * 24 * 60 * 60 // seconds
	for _, t := range list {
		most := func(n uint64) uint64 { return min(t.value, n) }
		switch t.what {
		case tellsLease:
			a.Lease = time.Duration(most(longest)) * time.Second
		case tellsTokenLease:
			a.TokenLease = time.Duration(most(longest)) * time.Second
		case tellsTokenQueueCells:
			a.Token.QueueCells = uint16(most(1<<16 - 1))
		case tellsTokenQueueBytes:
			a.Token.QueueBytes = uint32(most(1<<32 - 1))
		case tellsTokenBoxBytes:
			a.Token.BoxBytes = most(1<<63 - 1)
		case tellsTokenBoxQueues:
			a.Token.BoxQueues = uint32(most(1<<32 - 1))
		case tellsConnections:
			a.Connections = most(1<<63 - 1)
		case tellsGroupConnections:
			a.GroupConnections = most(1<<63 - 1)
		case tellsGroupRate:
			a.GroupRate = most(1<<63 - 1)
		case tellsGroupBoxes:
			a.GroupBoxes = most(1<<63 - 1)
		case tellsGroupBytes:
			a.GroupBytes = most(1<<63 - 1)
		case tellsDaily:
			a.Daily = most(1<<63 - 1)
		}
	}
	return a
}

// allows asks what the relay allows.
type allows struct{}

func (m *allows) kind() kind                    { return kindAllows }
func (m *allows) append(*cryptobyte.Builder)    {}
func (m *allows) parse(*cryptobyte.String) bool { return true }

type allowsAnswer struct{ told []told }

func (m *allowsAnswer) kind() kind { return kindAllows | kindAnswer }

func (m *allowsAnswer) append(b *cryptobyte.Builder) {
	b.AddUint8(uint8(len(m.told)))
	for _, t := range m.told {
		b.AddUint8(t.what)
		b.AddUint64(t.value)
	}
}

// parse refuses what does not rise.
func (m *allowsAnswer) parse(s *cryptobyte.String) bool {
	var n uint8
	if !s.ReadUint8(&n) {
		return false
	}
	m.told = make([]told, n)
	last := uint8(0)
	for i := range m.told {
		t := &m.told[i]
		if !s.ReadUint8(&t.what) || t.what <= last || !s.ReadUint64(&t.value) || t.value == 0 {
			return false
		}
		last = t.what
	}
	return true
}
