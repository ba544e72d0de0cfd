package disk

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
)

// snapshotDir is where a snapshot of the index stands while it is read.
const snapshotDir = "snapshot"

// Snapshot gives out the files of a Store in which all is that Commit had answered before
// end, and nothing later than when the last file was begun; in another directory, under the
// same names, Open opens them. Deposits go on meanwhile; only space is not given back. It
// also tells how many cells there are in it. take must read size bytes of each file.
func (s *Store) Snapshot(take func(name string, size int64, r io.Reader) error) (end time.Time, cells uint64, err error) {
	s.collecting.Lock() // no segment goes, or is moved from, before it is read
	defer s.collecting.Unlock()
	dir := s.path(snapshotDir)
	defer func() { err = errors.Join(err, s.fs.RemoveAll(dir)) }()
	// The index first: it may lag behind the log but not be ahead of it.
	if err := s.db.Checkpoint(dir); err != nil {
		return end, 0, fmt.Errorf("disk: snapshot of the index: %w", err)
	}
	names, err := s.fs.List(dir)
	if err != nil {
		return end, 0, fmt.Errorf("disk: snapshot of the index: %w", err)
	}
	type part struct {
		*segment
		size int64
	}
	var log []part
	end = time.Now()
	s.commit.Lock()
	s.mu.RLock()
	broken := s.broken
	for _, seg := range s.segments {
		log = append(log, part{seg, seg.size})
	}
	cells = s.totals.cells
	s.mu.RUnlock()
	s.commit.Unlock()
	if broken != nil {
		return end, 0, broken
	}
	slices.SortFunc(log, func(a, b part) int { return int(a.number) - int(b.number) })
	for _, p := range log {
		if err := take("log/"+logName(p.number), p.size, io.NewSectionReader(p.file, 0, p.size)); err != nil {
			return end, 0, err
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if err := s.takeFile(filepath.Join(dir, name), "index/"+name, take); err != nil {
			return end, 0, err
		}
	}
	return end, cells, nil
}

func (s *Store) takeFile(path, name string, take func(string, int64, io.Reader) error) error {
	f, err := s.fs.Open(path)
	if err != nil {
		return fmt.Errorf("disk: snapshot: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("disk: snapshot: %w", err)
	}
	if info.IsDir() {
		return fmt.Errorf("%w: a directory in the index", mailbox.ErrDamaged)
	}
	return take(name, info.Size(), io.LimitReader(f, info.Size()))
}
