package jetstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/disk"
	"golang.org/x/sync/errgroup"
)

const (
	// firstAt is how far above what was given to a cell the sequences of an imported relay begin, in places: an import that is
	// begun again may find that it went on meanwhile.
	firstAt = 1 << 32
	// checking is how many messages are fetched at a time to see that all came.
	checking = 16
)

// Import has a stream, which it makes, keep all that a relay's own Store keeps, so that relay processes with that relay's key
// serve it: leases, queues, cells with their sequences, notices, and when each ends. name tells imports apart. If it is cut off it is
// begun again with what the Store keeps then, and does what is left to do; once it is done, it has nothing to do. Before that no
// relay serves the stream. All is read back in the end. Its errors wrap ErrThere, ErrOther, mailbox.ErrFull or those of Open.
func Import(ctx context.Context, cfg Config, from *disk.Store, name string) (err error) {
	last, err := from.LastSequence()
	if err != nil {
		return err
	}
	p := purpose{imports: name, first: disk.PlaceAfter(last) + firstAt}
	s, err := openFor(ctx, cfg, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if s.asked().stream.CachedInfo().Config.Metadata[metaImport] == name+done {
		return nil
	}
	if end, _ := s.view.End(); end < disk.PlaceAfter(last) {
		return fmt.Errorf("%w, and begins too low", ErrThere)
	}
	now := later(time.Now(), from.Latest())
	for {
		extra, err := s.view.Extra(from)
		if err != nil {
			return err
		}
		if len(extra) == 0 {
			break
		}
		if err := s.Commit(now, extra); err != nil {
			return err
		}
		if err := mailbox.OutcomeOf(extra[0]).Err; err != nil {
			return err
		}
	}
	cells := 0
	err = from.Parts(func(part *disk.Part) error {
		ctx, cancel := context.WithTimeoutCause(ctx, patience, errSilent)
		defer cancel()
		cells += part.Cells()
		err := s.enter(ctx, func() (*disk.Plan, error) { return s.view.PlanPart(now, part) })
		s.log.Info("mail is imported", "cells", cells, "of", from.Usage().Cells)
		return err
	})
	if err != nil {
		return err
	}
	if err := s.check(ctx, from, p); err != nil {
		return fmt.Errorf("%w: what was imported is not all there: %w", mailbox.ErrDamaged, err)
	}
	return s.mark(ctx, metaImport, name+done)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// check reads the stream as a relay does that knows nothing of it, and each message, and compares.
func (s *Store) check(ctx context.Context, from *disk.Store, p purpose) (err error) {
	cfg := s.cfg
	if cfg.Dir, err = os.MkdirTemp(cfg.Dir, "check-*"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(cfg.Dir)) }()
	fresh, err := openFor(ctx, cfg, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fresh.Close()) }()
	if err := fresh.view.Same(from); err != nil {
		return err
	}
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(checking)
	err = fresh.view.Bundles(func(place uint64, good func([]byte) bool) error {
		asking.Go(func() error {
			m, err := fresh.fetch(ctx, place)
			if err == nil && !good(m) {
				err = fmt.Errorf("the cells at %d are others", place)
			}
			return err
		})
		return ctx.Err()
	})
	if err == nil {
		err = from.Notices(func(id mailbox.NoticeID, notice []byte) error {
			is, err := fresh.Notice(id, time.Time{})
			if err == nil && !bytes.Equal(is, notice) {
				err = errors.New("a notice is another")
			}
			return err
		})
	}
	return errors.Join(asking.Wait(), err)
}

// fetch reads a message, of whom has it.
func (s *Store) fetch(ctx context.Context, place uint64) (data []byte, err error) {
	for i := range 5 {
		m, err := s.get(ctx, place)
		if err != nil {
			m, err = s.leaderGet(ctx, map[string]any{"seq": place})
		}
		if err == nil {
			return m.Data, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), err)
		case <-time.After(time.Duration(i+1) * settleTime):
		}
	}
	return nil, fmt.Errorf("jetstream: the message at %d cannot be read", place)
}

// Export has a Store, which is empty, keep all that a stream keeps. What was receipted before the time that it returns is in it,
// if it was not deleted; relays may go on meanwhile. If the relay leaves, they end, and none serves the stream any more; undo
// takes that back, and is called when what follows fails. Its errors wrap those of Open, or are of a relay process that went on all the same.
func Export(ctx context.Context, cfg Config, into *disk.Store, leaves bool) (at time.Time, undo func() error, err error) {
	undo = func() error { return nil }
	s, err := openFor(ctx, cfg, purpose{copies: true})
	if err != nil {
		return at, undo, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if leaves {
		if err := s.leave(ctx); err != nil {
			return at, undo, err
		}
		undo = func() error {
			s, err := openFor(context.WithoutCancel(ctx), cfg, purpose{copies: true})
			if err != nil {
				return err
			}
			return errors.Join(s.mark(context.WithoutCancel(ctx), metaMoved, ""), s.Close())
		}
	}
	at = time.Now()
	end, err := s.catchUp(ctx)
	if err != nil {
		return at, undo, err
	}
	err = s.view.Parts(func(b mailbox.BoxPublic, id mailbox.CellID) ([]byte, error) { return s.Cell(b, id, time.Time{}) },
		func(id mailbox.NoticeID) ([]byte, error) { return s.Notice(id, time.Time{}) },
		func(part *disk.Part) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return into.Take(part)
		})
	if err != nil || !leaves {
		return at, undo, err
	}
	if last, err := s.catchUp(ctx); err != nil || last != end {
		return at, undo, errors.Join(err, errors.New("jetstream: a relay process goes on; stop it, and begin again"))
	}
	return at, undo, nil
}

// catchUp reads on to where the stream ends now.
func (s *Store) catchUp(ctx context.Context) (end uint64, err error) {
	info, err := s.info(ctx)
	if err != nil {
		return 0, fmt.Errorf("jetstream: %w", err)
	}
	for {
		if end, _ := s.view.End(); end >= info.State.LastSeq {
			return end, nil
		}
		if err := s.settle(ctx); err != nil {
			return 0, err
		}
	}
}

// enter appends what is planned, which is planned anew when others appended first.
func (s *Store) enter(ctx context.Context, plan func() (*disk.Plan, error)) error {
	for {
		err := s.tryEnter(ctx, plan)
		if !errors.Is(err, errBehind) {
			return err
		}
		if err := s.settle(ctx); err != nil {
			return err
		}
	}
}

func (s *Store) tryEnter(ctx context.Context, plan func() (*disk.Plan, error)) error {
	s.commit.Lock()
	defer s.commit.Unlock()
	if err := s.failed(); err != nil {
		return err
	}
	p, err := plan()
	if err != nil {
		return err
	}
	defer p.Close()
	if len(p.Entries) == 0 {
		return nil
	}
	if err := s.appendAll(ctx, p.Entries); err != nil {
		return err
	}
	return p.Done()
}
