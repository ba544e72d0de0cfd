package mailbox

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-im/godwit/p2p/rate"
)

// patience is how long what adds something waits for the Store. While somebody has waited for longer,
// others who come are refused at once, and when the Store has time again, those who
// waited for longer, with the advice when to try again. So nobody waits for longer than this and two commits;
// it is more than a disk that is busy, or a replicated store that elects anew, should need.
const patience = 10 * time.Second

// waits tells since when the one has waited whose turn it is.
type waits struct{ since atomic.Pointer[time.Time] }

// begin says whose turn it is.
func (w *waits) begin(b *batch) { w.since.Store(&b.came) }

// end says that nobody waits.
func (w *waits) end() { w.since.Store(nil) }

// tooLong says whether who comes now would have to wait for too long.
func (w *waits) tooLong(now time.Time) bool {
	since := w.since.Load()
	return since != nil && now.Sub(*since) > patience
}

// late says whether a change of the batch has waited for too long. What strangers leave has not: they
// worked for that, and few of them do.
func (b *batch) late(c Change, now time.Time) bool {
	switch c := c.(type) {
	case *Deposit:
		return c.Work == 0 && now.Sub(b.came) > patience
	case *PostNotice, *OpenQueues:
		return now.Sub(b.came) > patience
	}
	return false
}

// carried counts the bytes of cells and notices that came and went, against what may in a day.
type carried struct {
	mu    sync.Mutex
	bytes rate.Bucket
}

// take counts n bytes, unless more than a part of what may in a day had come and gone then. The error is
// ErrTryLater, and says when they can.
func (c *carried) take(may uint64, part float64, n int, now time.Time) error {
	if may == 0 {
		return nil
	}
	l := daily(may)
	l.Burst *= part
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bytes.TakeSome(l, float64(n), now) {
		return nil
	}
	over := c.bytes.Spent(l, now) + float64(n) - l.Burst
	return delayed{ErrTryLater, time.Duration(over / l.PerSecond * float64(time.Second))}
}

// day is how many of them count now.
func (c *carried) day(may uint64, now time.Time) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return uint64(c.bytes.Spent(daily(may), now))
}

// Carried counts bytes that came and went before the Server was made: as many as Stats told at that time.
func (s *Server) Carried(bytes uint64, at time.Time) {
	s.carried.mu.Lock()
	defer s.carried.mu.Unlock()
	s.carried.bytes.Spend(daily(s.cfg.Load().Daily), float64(bytes), at)
}

// do has a change committed that nobody asked for by itself.
func (s *Server) do(c Change) {
	done := make(chan struct{})
	s.queue <- &batch{came: time.Now(), changes: []Change{c}, done: func() { close(done) }}
	<-done
}
