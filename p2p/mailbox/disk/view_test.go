package disk

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
)

// shared is a log that remembers the last entry of each key, and the Store of one process
// on top of it.
type shared struct {
	*View
	log   map[string]Applied
	blobs map[uint64][]byte
}

func (s *shared) Commit(now time.Time, changes []mailbox.Change) error {
	for len(changes) > 0 {
		p, err := s.Plan(now, changes, 1<<40)
		if err != nil {
			return err
		}
		end, _ := s.End()
		for i, e := range p.Entries {
			at := end + uint64(i) + 1
			s.log[string(e.Key)] = Applied{at, e.Head, len(e.Blob)}
			s.blobs[at] = bytes.Clone(e.Blob)
		}
		if len(p.Entries) > 0 {
			err = p.Done()
		}
		changes = changes[p.Changes:]
		if p.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (s *shared) Cell(b mailbox.BoxPublic, id mailbox.CellID, now time.Time) ([]byte, error) {
	at, err := s.View.Cell(b, id, now)
	if err != nil {
		return nil, err
	}
	return s.blobs[at.Place][at.From:][:at.Size], nil
}

func (s *shared) Notice(id mailbox.NoticeID, now time.Time) ([]byte, error) {
	at, err := s.View.Notice(id, now)
	if err != nil {
		return nil, err
	}
	return s.blobs[at.Place][at.From:][:at.Size], nil
}

// TestViewMadeAnew: who reads what is left of the log knows what those know who read all of
// it, and decides as they do.
func TestViewMadeAnew(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			view := func() *View {
				v, err := OpenView(t.TempDir(), mailboxtest.Quotas(), slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				return v
			}
			s := &shared{view(), make(map[string]Applied), make(map[uint64][]byte)}
			defer func() { s.Close() }()
			late := view()
			defer late.Close()
			p, model := mailboxtest.NewPeople(seed), mailboxtest.NewMemory(mailboxtest.Quotas(), 0)
			for round := range 200 {
				a, b := p.Changes()
				if err := s.Commit(p.Now, a); err != nil {
					t.Fatal(err)
				}
				if err := model.Commit(p.Now, b); err != nil {
					t.Fatal(err)
				}
				mailboxtest.SameOutcomes(t, a, b)
				if round%20 > 0 {
					continue
				}
				var left []Applied
				for _, e := range s.log {
					left = append(left, e)
				}
				slices.SortFunc(left, func(a, b Applied) int { return int(a.Place) - int(b.Place) })
				old := s.View
				s.View = view()
				for part := range slices.Chunk(left, 7) {
					if _, err := s.Apply(part); err != nil {
						t.Fatal(err)
					}
				}
				if got, want := p.State(t, s), p.State(t, model); got != want {
					t.Fatalf("round %d: made anew it is\n%s\nin memory\n%s", round, got, want)
				}
				// Who was away for some time hears of no more than that.
				from, _ := late.End()
				for _, e := range left {
					if e.Place > from {
						if _, err := late.Apply([]Applied{e}); err != nil {
							t.Fatal(err)
						}
					}
				}
				if got, want := p.State(t, &shared{late, nil, s.blobs}), p.State(t, model); got != want {
					t.Fatalf("round %d: read on it is\n%s\nin memory\n%s", round, got, want)
				}
				was, _ := old.End()
				if is, _ := s.End(); is != was || !s.Latest().Equal(old.Latest()) {
					t.Fatalf("made anew it ends at %d (%v), not at %d (%v)", is, s.Latest(), was, old.Latest())
				}
				if err := old.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
