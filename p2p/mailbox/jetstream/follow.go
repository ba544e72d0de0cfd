package jetstream

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/disk"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// headHeader has a disk.Entry's Head, in base64.
const headHeader = "Godwit"

// openView opens the index, which is of this stream and not too old, or makes it anew.
func (s *Store) openView(info *jetstream.StreamInfo) (err error) {
	dir, mark := filepath.Join(s.cfg.Dir, "view"), filepath.Join(s.cfg.Dir, "stream")
	name := fmt.Sprint(disk.EntryVersion, " ") + s.cfg.Stream + " " + info.Created.UTC().Format(time.RFC3339Nano) + "\n"
	was, err := os.ReadFile(mark)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("jetstream: %w", err)
	}
	anew := string(was) != name
	if !anew {
		if s.view, err = disk.OpenView(dir, s.cfg.Quotas, s.log); err != nil && !errors.Is(err, mailbox.ErrDamaged) {
			return err
		}
		if anew = err != nil; !anew {
			end, made := s.view.End()
			if anew = end > info.State.LastSeq || time.Since(made) > oldIndex; anew {
				if err := s.view.Close(); err != nil {
					return err
				}
				s.view = nil
			}
		}
	}
	if !anew {
		return nil
	}
	s.log.Info("the index is made anew from the stream", "messages", info.State.Msgs)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(s.cfg.Dir, 0o700)); err != nil {
		return fmt.Errorf("jetstream: %w", err)
	}
	if s.view, err = disk.OpenView(dir, s.cfg.Quotas, s.log); err != nil {
		return err
	}
	if err := os.WriteFile(mark, []byte(name), 0o600); err != nil {
		return fmt.Errorf("jetstream: %w", err)
	}
	return nil
}

// consume lets what the index does not know come, without the cells.
func (s *Store) consume(ctx context.Context) error {
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.consumed != nil {
		s.consumed.Stop()
	}
	s.made = time.Now()
	end, _ := s.view.End()
	c, err := s.asked().js.OrderedConsumer(ctx, s.cfg.Stream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: end + 1, HeadersOnly: true, MaxResetAttempts: -1,
	})
	if err == nil {
		s.consumed, err = c.Consume(func(m jetstream.Msg) {
			select {
			case s.came <- m:
			case <-s.running.Done():
			}
		})
	}
	if err != nil {
		return fmt.Errorf("jetstream: read the stream: %w", err)
	}
	return nil
}

// resume consumes anew if nothing has come for some time though there is more: whoever sent
// it is gone with a server, which takes a client long to see.
func (s *Store) resume(ctx context.Context) {
	s.mu.Lock()
	quiet := time.Since(s.heard)
	s.mu.Unlock()
	s.reading.Lock()
	young := time.Since(s.made) < stalled
	s.reading.Unlock()
	if quiet < stalled || young {
		return
	}
	ctx, cancel := s.once(ctx, attempt)
	defer cancel()
	if err := s.consume(ctx); err != nil {
		s.log.Debug("an election, perhaps", "error", err) // it is tried again
	}
}

// follow takes in what others appended, as it comes.
func (s *Store) follow(ctx context.Context) {
	for {
		var all []jetstream.Msg
		select {
		case <-ctx.Done():
			return
		case m := <-s.came:
			all = append(all, m)
		}
		for more := true; more && len(all) < applyMost; {
			select {
			case m := <-s.came:
				all = append(all, m)
			default:
				more = false
			}
		}
		if err := s.take(all); err != nil {
			s.log.Error("the stream cannot be read", "error", err)
		}
		s.mu.Lock()
		s.heard = time.Now()
		s.mu.Unlock()
		select {
		case s.moved <- struct{}{}:
		default:
		}
	}
}

// take is follow for some messages.
func (s *Store) take(all []jetstream.Msg) error {
	if s.failed() != nil {
		return nil
	}
	entries := make([]disk.Applied, 0, len(all))
	for _, m := range all {
		meta, err := m.Metadata()
		if err != nil {
			s.log.Warn("a message that did not come from the store's stream is passed over", "error", err)
			continue
		}
		entries = append(entries, s.entryOf(meta.Sequence.Stream, m.Subject(), m.Headers()))
	}
	return s.learn(entries)
}

// learn has the view know what others appended, and those who watch.
func (s *Store) learn(entries []disk.Applied) error {
	was, _ := s.view.End()
	news, foreign, err := s.apply(entries)
	if err != nil {
		return s.fail(err)
	}
	if len(foreign) > 0 {
		s.log.Warn("messages of the store's stream that no relay made are passed over; who else may write there?", "count", len(foreign), "first", foreign[0])
	}
	s.mu.Lock()
	s.foreign += uint64(len(foreign))
	if len(entries) > 0 && entries[len(entries)-1].Place > was {
		s.otherCame()
	}
	tell := s.tells
	s.mu.Unlock()
	if tell != nil {
		for box := range news {
			tell(box)
		}
	}
	return nil
}

func (s *Store) apply(entries []disk.Applied) (map[mailbox.BoxPublic]struct{}, []uint64, error) {
	s.commit.Lock()
	defer s.commit.Unlock()
	var added uint64
	known, _ := s.view.End()
	for _, e := range entries {
		if e.Place > known {
			added += uint64(e.Size)
		}
	}
	s.add(added)
	return s.view.Apply(entries)
}

// entryOf is what a message says. What is not one of ours has no head.
func (s *Store) entryOf(place uint64, subject string, h nats.Header) disk.Applied {
	e := disk.Applied{Place: place}
	what, name, ok := strings.Cut(strings.TrimPrefix(subject, s.cfg.Stream+"."), ".")
	key, err := base64.RawURLEncoding.DecodeString(name)
	head, err2 := base64.RawStdEncoding.DecodeString(h.Get(headHeader))
	size, err3 := 0, error(nil)
	if text := h.Get(nats.MsgSize); text != "" {
		size, err3 = strconv.Atoi(text)
	}
	if ok && len(what) == 1 && err == nil && err2 == nil && err3 == nil {
		e.Key, e.Head, e.Size = append([]byte(what), key...), head, size
	}
	return e
}

// settle waits until something was taken in, takes in what comes next by itself, or knows
// that there is nothing.
func (s *Store) settle(ctx context.Context) error {
	select {
	case <-s.moved:
		return s.failed()
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(settleTime):
	}
	// Whoever would have sent it may be gone with a server, or wait for another election.
	info, err := s.info(ctx)
	if err != nil {
		return nil // an election, perhaps; it is tried again
	}
	end, _ := s.view.End()
	if end >= info.State.LastSeq {
		return nil
	}
	m, err := s.leaderGet(ctx, map[string]any{"seq": end + 1, "next_by_subj": s.cfg.Stream + ".>"})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		// The end of the stream is messages that are gone already.
		s.commit.Lock()
		defer s.commit.Unlock()
		if err := s.view.Skip(info.State.LastSeq); err != nil {
			return s.fail(err)
		}
		return nil
	}
	if err != nil {
		return nil
	}
	e := s.entryOf(m.Sequence, m.Subject, m.Header)
	e.Size = len(m.Data)
	return s.learn([]disk.Applied{e})
}

// look asks how much room is taken, and whether there is more than comes.
func (s *Store) look(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var p pursuit
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if info, err := s.info(ctx); err == nil {
			s.pursue(ctx, &p, info)
			s.stillOurs(info)
			if end, _ := s.view.End(); end < info.State.LastSeq {
				s.resume(ctx)
			}
		}
	}
}
