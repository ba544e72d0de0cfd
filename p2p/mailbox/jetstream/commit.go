package jetstream

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/disk"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func (s *Store) add(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used += n
}

// Room is how many bytes deposits may still add, and, in words, what bounds it.
func (s *Store) Room() (bytes int64, bound string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.seen) > late || !s.silent.IsZero() || !s.since.IsZero() && time.Since(s.since) > late {
		return 0, "the store's servers do not answer"
	}
	return s.room(), "the relay holds as much as it may"
}

// room is how many bytes the cap leaves. The lock of used is held.
func (s *Store) room() int64 {
	// What surrounds a cell is less than an eighth of it.
	return max(int64(s.cfg.MaxBytes)-int64(s.used), 0) / 9 * 8
}

// Commit is mailbox.Store's.
func (s *Store) Commit(now time.Time, changes []mailbox.Change) error {
	if s.areSilent() {
		return s.putOff(changes)
	}
	ctx, cancel := context.WithTimeoutCause(s.serving, patience, errSilent)
	defer cancel()
	s.began(time.Now())
	defer s.began(time.Time{})
	for len(changes) > 0 {
		n, err := s.part(ctx, now, changes)
		if errors.Is(err, errSilent) {
			return s.putOff(changes)
		}
		if err != nil {
			return s.fail(err)
		}
		changes = changes[n:]
	}
	return nil
}

func (s *Store) began(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = t
}

// errBehind says that others appended first, or that a try of this process did, of which no
// answer came. To decide again is right for both: what is kept already is kept once.
var errBehind = errors.New("jetstream: the stream has moved on")

// part commits some of the first changes and tells how many.
func (s *Store) part(ctx context.Context, now time.Time, changes []mailbox.Change) (int, error) {
	defer s.tookTurn()
	for lost := 1; ; lost++ {
		s.holdBack(ctx)
		began := time.Now()
		n, err := s.try(ctx, now, changes)
		if !errors.Is(err, errBehind) {
			return n, err
		}
		if lost%losses == 0 {
			s.askTurn(time.Since(began))
		}
		if err := s.settle(ctx); err != nil {
			return 0, err
		}
	}
}

// try decides and appends, until there is an answer. Its error is errBehind, or the end.
func (s *Store) try(ctx context.Context, now time.Time, changes []mailbox.Change) (int, error) {
	s.commit.Lock()
	defer s.commit.Unlock()
	s.mu.Lock()
	room, broken := s.room(), s.broken
	s.mu.Unlock()
	if broken != nil {
		return 0, broken
	}
	p, err := s.view.Plan(now, changes, room)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	if len(p.Entries) == 0 {
		return p.Changes, nil
	}
	err = s.appendAll(ctx, p.Entries)
	if errors.Is(err, mailbox.ErrFull) {
		for _, c := range changes[:p.Changes] {
			if o := mailbox.OutcomeOf(c); o.Err == nil {
				o.Err = mailbox.ErrFull
			}
		}
		return p.Changes, nil
	}
	if err != nil {
		return 0, err
	}
	return p.Changes, p.Done()
}

// appendAll appends entries, until there is an answer. Its error is errBehind or mailbox.ErrFull, and they are not there by it, or the end.
func (s *Store) appendAll(ctx context.Context, entries []disk.Entry) error {
	for unsure := false; ; unsure = true {
		err := s.append(ctx, entries)
		var api *jetstream.APIError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == errCodeWrongLast):
			return errBehind
		case errors.As(err, &api) && (api.ErrorCode == errCodeResources || api.ErrorCode == errCodeStorage) && !unsure:
			s.log.Warn("the store's servers have no room", "error", err)
			return fmt.Errorf("%w: %w", mailbox.ErrFull, err)
		}
		s.log.Debug("a commit was not answered", "error", err)
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(settleTime):
		}
	}
}

// The servers' codes for a stream that is further, and for no more storage.
const (
	errCodeWrongLast jetstream.ErrorCode = 10164
	errCodeResources jetstream.ErrorCode = 10023
	errCodeStorage   jetstream.ErrorCode = 10047
)

// append has the stream take in entries after all that the view knows, or none of them.
func (s *Store) append(ctx context.Context, entries []disk.Entry) error {
	end, _ := s.view.End()
	batch := rand.Text()
	var size uint64
	for i, e := range entries {
		m := nats.NewMsg(s.subject(e.Key))
		m.Data = e.Blob
		m.Header.Set(headHeader, base64.RawStdEncoding.EncodeToString(e.Head))
		switch {
		case e.Gone:
			m.Header.Set(jetstream.MsgTTLHeader, goneFor.String())
		case !e.Ends.IsZero():
			m.Header.Set(jetstream.MsgTTLHeader, max(time.Until(e.Ends), goneFor).Round(time.Second).String())
		}
		if i == 0 {
			m.Header.Set(jetstream.ExpectedLastSeqHeader, strconv.FormatUint(end, 10))
		}
		if len(entries) > 1 {
			m.Header.Set("Nats-Batch-Id", batch)
			m.Header.Set("Nats-Batch-Sequence", strconv.Itoa(i+1))
		}
		size += uint64(len(e.Blob))
		if i < len(entries)-1 {
			if err := s.nc.PublishMsg(m); err != nil {
				return err
			}
			continue
		}
		if len(entries) > 1 {
			m.Header.Set("Nats-Batch-Commit", "1")
		}
		ctx, cancel := s.once(ctx, attempt)
		defer cancel()
		answer, err := s.nc.RequestMsgWithContext(ctx, m)
		if err != nil {
			return err
		}
		var ack struct {
			Error *jetstream.APIError `json:"error"`
			Seq   uint64              `json:"seq"`
		}
		if err := json.Unmarshal(answer.Data, &ack); err != nil {
			return err
		}
		if ack.Error != nil {
			return ack.Error
		}
		if ack.Seq != end+uint64(len(entries)) {
			return s.fail(fmt.Errorf("the stream took %d messages after %d and ends at %d", len(entries), end, ack.Seq))
		}
	}
	s.add(size)
	return nil
}

// subject is where the messages about a thing go.
func (s *Store) subject(key []byte) string {
	return s.cfg.Stream + "." + string(key[:1]) + "." + base64.RawURLEncoding.EncodeToString(key[1:])
}
