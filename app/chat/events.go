package chat

import (
	"context"
	"sync"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/problem"
)

// backlog is how many events a subscriber may be behind before it is told that
// it lost them: some seconds of a busy account, about 2 MiB.
const backlog = 8192

// hub hands events to whoever listens, in order, without ever waiting for them.
type hub struct {
	mu   sync.Mutex
	subs map[*subscriber]struct{}
}

type subscriber struct {
	events chan api.Event
	lost   bool // closed because it was too far behind
}

func (h *hub) emit(e api.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs {
		select {
		case s.events <- e:
		default:
			s.lost = true
			delete(h.subs, s)
			close(s.events)
		}
	}
}

func (h *hub) subscribe() *subscriber {
	s := &subscriber{events: make(chan api.Event, backlog)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subs == nil {
		h.subs = make(map[*subscriber]struct{})
	}
	h.subs[s] = struct{}{}
	return s
}

func (h *hub) unsubscribe(s *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs, s)
}

// follow gives each event to the function, until the context ends, the function
// fails or the subscriber fell behind (problem.EventsLost).
func (h *hub) follow(ctx context.Context, s *subscriber, each func(api.Event) error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-s.events:
			if !ok {
				return problem.New(problem.EventsLost, nil)
			}
			if err := each(e); err != nil {
				return err
			}
		}
	}
}
