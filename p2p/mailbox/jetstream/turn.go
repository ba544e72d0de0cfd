package jetstream

import (
	"context"
	"crypto/rand"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Who comes second decides anew. A process that is far from the servers would always come second to a busy one that is near: what it
// decides by is a round trip old when it arrives. So who came second several times in a row asks the others, by a plain message
// beside the stream, to hold back until something of somebody else comes in, and for so long at most. They do so half of the time at the most.

const (
	// losses is how often in a row somebody comes second before it asks for a turn.
	losses = 3
	// turnTries is for how many tries, as long as its last one took, it asks; shortestTurn and longestTurn bound that.
	turnTries                 = 4
	shortestTurn, longestTurn = 20 * time.Millisecond, time.Second
)

// turns is who goes first.
type turns struct {
	me    string    // tells this process from others
	mine  bool      // it waits for a turn itself, and holds back for nobody
	until time.Time // it holds back until then
	next  time.Time // and not again before that
}

func newTurns() turns { return turns{me: rand.Text()} }

// turnSubject is beside what the stream takes in.
func (s *Store) turnSubject() string { return "_GODWIT.turn." + s.cfg.Stream }

// hearTurns has the Store hear who asks for a turn. Where that may not be heard, nobody is held back for.
func (s *Store) hearTurns(nc *nats.Conn) error {
	_, err := nc.Subscribe(s.turnSubject(), func(m *nats.Msg) {
		who, millis, _ := strings.Cut(string(m.Data), " ")
		n, err := strconv.ParseUint(millis, 10, 16)
		long := min(time.Duration(n)*time.Millisecond, longestTurn)
		s.mu.Lock()
		defer s.mu.Unlock()
		now := time.Now()
		if err != nil || who == s.turns.me || s.turns.mine || now.Before(s.turns.next) {
			return
		}
		s.turns.until = now.Add(long)
		s.turns.next = s.turns.until.Add(long)
	})
	return err
}

// askTurn asks for one, by how long a try took.
func (s *Store) askTurn(try time.Duration) {
	s.mu.Lock()
	s.turns.mine = true
	nc, me := s.nc, s.turns.me
	s.mu.Unlock()
	long := min(max(turnTries*try, shortestTurn), longestTurn)
	if err := nc.Publish(s.turnSubject(), []byte(me+" "+strconv.FormatInt(long.Milliseconds(), 10))); err != nil {
		s.log.Debug("no turn could be asked for", "error", err) // it goes on trying
	}
}

// tookTurn says that the Store waits for none any more.
func (s *Store) tookTurn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turns.mine = false
}

// otherCame ends holding back: somebody else had a turn. The lock of turns is held.
func (s *Store) otherCame() { s.turns.until = time.Time{} }

// holdBack waits while another has its turn.
func (s *Store) holdBack(ctx context.Context) {
	for {
		s.mu.Lock()
		left := time.Until(s.turns.until)
		s.mu.Unlock()
		if left <= 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(left, shortestTurn/10)):
		}
	}
}
