package chat

import (
	"context"
	"sync"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/problem"
)

// backlog is how many events a subscriber may be behind before it is told that
// it lost them: some seconds of a busy account, about 3 MiB.
const backlog = 8192

// hub hands events to whoever listens, in order, without ever waiting for them.
type hub struct {
	mu   sync.Mutex
	all  map[*subscriber]struct{}
	byID map[string]map[*subscriber]struct{} // those who follow one message
}

// subscriber is somebody who listens.
type subscriber struct {
	id   string        // of the message that is followed; empty: everything
	wake chan struct{} // capacity 1: there is something in queue, or lost

	mu    sync.Mutex
	queue []api.Event
	lost  bool // it was too far behind
}

func (h *hub) emit(e api.Event) {
	h.emitToFollowers(e)
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.all {
		s.put(e)
	}
}

// emitToFollowers tells only those who follow the message of the event.
func (h *hub) emitToFollowers(e api.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.byID[e.ID] {
		s.put(e)
	}
}

func (s *subscriber) put(e api.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) >= backlog {
		s.lost, s.queue = true, nil
	}
	if !s.lost {
		s.queue = append(s.queue, e)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// subscribe listens to what concerns one message, or to everything if id is empty.
func (h *hub) subscribe(id string) *subscriber {
	s := &subscriber{id: id, wake: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if id == "" {
		if h.all == nil {
			h.all = make(map[*subscriber]struct{})
		}
		h.all[s] = struct{}{}
		return s
	}
	if h.byID == nil {
		h.byID = make(map[string]map[*subscriber]struct{})
	}
	if h.byID[id] == nil {
		h.byID[id] = make(map[*subscriber]struct{})
	}
	h.byID[id][s] = struct{}{}
	return s
}

func (h *hub) unsubscribe(s *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.all, s)
	if delete(h.byID[s.id], s); len(h.byID[s.id]) == 0 {
		delete(h.byID, s.id)
	}
}

// follow gives each event to the function, until the context ends, the function
// fails or the subscriber fell behind (problem.EventsLost).
func (s *subscriber) follow(ctx context.Context, each func(api.Event) error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.wake:
		}
		s.mu.Lock()
		events, lost := s.queue, s.lost
		s.queue = nil
		s.mu.Unlock()
		if lost {
			return problem.New(problem.EventsLost, nil)
		}
		for _, e := range events {
			if err := each(e); err != nil {
				return err
			}
		}
	}
}
