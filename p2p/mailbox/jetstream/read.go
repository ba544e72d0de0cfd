package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/disk"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Cell is mailbox.Store's.
func (s *Store) Cell(b mailbox.BoxPublic, id mailbox.CellID, now time.Time) ([]byte, error) {
	return s.blob(func() (disk.Spot, error) { return s.view.Cell(b, id, now) }, func(cell []byte) bool { return mailbox.IDOf(cell) == id })
}

// Notice is mailbox.Store's.
func (s *Store) Notice(id mailbox.NoticeID, now time.Time) ([]byte, error) {
	return s.blob(func() (disk.Spot, error) { return s.view.Notice(id, now) }, func(notice []byte) bool { return len(notice) == mailbox.NoticeSize })
}

// blob reads what find finds: of any server first, which may be a little behind, then of the
// one that leads. Meanwhile it may be deleted.
func (s *Store) blob(find func() (disk.Spot, error), good func([]byte) bool) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*attempt)
	defer cancel()
	var problem error
	for i := range 5 {
		at, err := find()
		if err != nil {
			return nil, err
		}
		var m *jetstream.RawStreamMsg
		if i == 0 {
			m, problem = s.get(ctx, at.Place)
		} else {
			m, problem = s.leaderGet(ctx, map[string]any{"seq": at.Place})
		}
		if problem == nil && len(m.Data) >= at.From+at.Size {
			if blob := m.Data[at.From:][:at.Size]; good(blob) {
				return blob, nil
			}
		}
		if problem == nil {
			problem = fmt.Errorf("%w: the bytes are not those that were written", mailbox.ErrDamaged)
			continue
		}
		select {
		case <-ctx.Done():
			return nil, mailbox.ErrTryLater
		case <-time.After(time.Duration(i) * settleTime):
		}
	}
	if errors.Is(problem, jetstream.ErrMsgNotFound) { // and by the index it is there
		problem = fmt.Errorf("%w: %w", mailbox.ErrDamaged, problem)
	}
	if errors.Is(problem, mailbox.ErrDamaged) {
		return nil, problem
	}
	s.log.Warn("a cell could not be read", "error", problem)
	return nil, mailbox.ErrTryLater
}

// get asks any server for a message.
func (s *Store) get(ctx context.Context, place uint64) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := s.once(ctx, asking)
	defer cancel()
	return s.asked().stream.GetMsg(ctx, place)
}

// leaderGet asks the server that leads for a message. The error is jetstream.ErrMsgNotFound
// if there is none.
func (s *Store) leaderGet(ctx context.Context, what map[string]any) (*jetstream.RawStreamMsg, error) {
	ask, err := json.Marshal(what)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.once(ctx, asking)
	defer cancel()
	m, err := s.asked().nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+s.cfg.Stream, ask)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Subject string `json:"subject"`
			Seq     uint64 `json:"seq"`
			Header  []byte `json:"hdrs"`
			Data    []byte `json:"data"`
		} `json:"message"`
	}
	switch err := json.Unmarshal(m.Data, &answer); {
	case err != nil:
		return nil, err
	case answer.Error != nil && answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return nil, jetstream.ErrMsgNotFound
	case answer.Error != nil:
		return nil, answer.Error
	case answer.Message == nil:
		return nil, errors.New("jetstream: an answer without a message")
	}
	header, err := nats.DecodeHeadersMsg(answer.Message.Header)
	if err != nil {
		return nil, err
	}
	return &jetstream.RawStreamMsg{Subject: answer.Message.Subject, Sequence: answer.Message.Seq, Header: header, Data: answer.Message.Data}, nil
}

// Writable is mailbox.Store's.
func (s *Store) Writable(q mailbox.QID, now time.Time) error { return s.view.Writable(q, now) }

// Intro is mailbox.Store's.
func (s *Store) Intro(q mailbox.QID, now time.Time) (pending int, weakest uint8, err error) {
	return s.view.Intro(q, now)
}

// Box is mailbox.Store's.
func (s *Store) Box(b mailbox.BoxPublic) (mailbox.BoxInfo, error) { return s.view.Box(b) }

// List is mailbox.Store's.
func (s *Store) List(b mailbox.BoxPublic, after uint64, limit int, now time.Time) ([]mailbox.Entry, bool, error) {
	return s.view.List(b, after, limit, now)
}

// Latest is mailbox.Store's.
func (s *Store) Latest() time.Time { return s.view.Latest() }

// Usage is mailbox.Store's. Disk is what the stream takes of each server's.
func (s *Store) Usage() mailbox.Usage {
	u := s.view.Usage()
	s.mu.Lock()
	defer s.mu.Unlock()
	u.Disk, u.Foreign = s.used, s.foreign
	return u
}

// Others has f called with each box into which cells came by way of another process.
func (s *Store) Others(f func(mailbox.BoxPublic)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tells = f
}
