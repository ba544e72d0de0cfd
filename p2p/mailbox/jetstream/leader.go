package jetstream

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// What goes by way of a server that does not lead the stream is copied and crosses the network once more. So a Store
// stays with the one that leads, which another does after a while: servers die, and are started anew.

const (
	// strange is how often in a row another must be seen to lead before it is followed: in an election it is one, then another.
	strange = 2
	// firstRest and longestRest are for how long one that cannot be reached from here is not looked for again.
	firstRest, longestRest = 10 * time.Second, 10 * time.Minute
)

// pursuit is of who leads.
type pursuit struct {
	leader string
	seen   int // looks in a row that found it to lead, and the Store elsewhere
	rest   time.Duration
	next   time.Time // not before that
}

// pursue goes over to the server that leads by what the servers say.
func (s *Store) pursue(ctx context.Context, p *pursuit, info *jetstream.StreamInfo) {
	leader := leaderOf(info)
	if leader == "" || leader == s.asked().nc.ConnectedServerName() {
		*p = pursuit{}
		return
	}
	if leader != p.leader {
		*p = pursuit{leader: leader, rest: firstRest}
	}
	if p.seen++; p.seen < strange || time.Now().Before(p.next) {
		return
	}
	l, err := s.dialTo(ctx, leader)
	if err == nil && l.nc == nil && leader == s.asked().nc.ConnectedServerName() {
		return // it came to it by itself
	}
	if err != nil || l.nc == nil {
		s.log.Info("the server that leads the store's stream is not reached; all goes by way of another", "server", leader, "error", err)
		p.next, p.rest = time.Now().Add(p.rest), min(2*p.rest, longestRest)
		return
	}
	s.log.Info("going over to the server that leads the store's stream", "server", leader)
	s.commit.Lock() // no commit is under way
	old := s.asked().nc
	s.use(l)
	s.commit.Unlock()
	if err := s.consume(ctx); err != nil {
		s.log.Debug("an election, perhaps", "error", err) // what does not come is seen
	}
	s.ends.Go(func() { // what is still asked over it is answered or given up by then
		select {
		case <-s.running.Done():
		case <-time.After(2 * attempt):
		}
		old.Close()
	})
}

// dialTo is a link to the server of a name; the zero link if the Store is with it, or it is none of those that are given and
// reached from here.
func (s *Store) dialTo(ctx context.Context, name string) (link, error) {
	for i := range strings.Split(s.cfg.Servers, ",") {
		if s.asked().nc.ConnectedServerName() == name {
			return link{}, nil
		}
		l, err := s.dial(i)
		if err != nil {
			return link{}, err
		}
		if l.nc.ConnectedServerName() == name {
			if l.stream, err = l.js.Stream(ctx, s.cfg.Stream); err != nil {
				l.nc.Close()
				return link{}, fmt.Errorf("jetstream: stream %s: %w", s.cfg.Stream, err)
			}
			return l, nil
		}
		l.nc.Close()
	}
	return link{}, nil
}
