package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
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
		changes = changes[p.Changes:]
		if err := s.append(p); err != nil {
			return err
		}
	}
	return nil
}

// append takes in what is planned.
func (s *shared) append(p *Plan) error {
	defer p.Close()
	end, _ := s.End()
	for i, e := range p.Entries {
		at := end + uint64(i) + 1
		delete(s.blobs, s.log[string(e.Key)].Place)
		s.log[string(e.Key)] = Applied{at, e.Key, e.Head, len(e.Blob)}
		s.blobs[at] = bytes.Clone(e.Blob)
	}
	if len(p.Entries) == 0 {
		return nil
	}
	return p.Done()
}

// rewrite rewrites the bundles of which something is gone, and tells how many; and those of which nothing is if all are to be.
func (s *shared) rewrite(t *testing.T, full bool) (sparse int) {
	t.Helper()
	var all []Bundle
	err := each(s.db, key('u'), func(k, raw []byte) error {
		b, ok := parseBundle(raw)
		if !ok {
			return errRecord
		}
		if b.gone != 0 {
			sparse++
		}
		if b.gone != 0 || full {
			place := binary.BigEndian.Uint64(k[1:])
			all = append(all, Bundle{place, s.blobs[place]})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.PlanRewrite(all)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.append(p); err != nil {
		t.Fatal(err)
	}
	return sparse
}

// sequences are those of all cells of a Store.
func sequences(t *testing.T, s mailbox.Store) (all []mailbox.Entry) {
	t.Helper()
	for i := range byte(3) {
		entries, _, err := s.List(mailbox.BoxPublic{i + 1}, 0, 1000, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entries...)
	}
	return all
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
// it, and decides as they do. Bundles of which little is left are rewritten meanwhile, and nobody sees that.
func TestViewMadeAnew(t *testing.T) {
	var sparse atomic.Int64
	t.Cleanup(func() {
		if sparse.Load() == 0 {
			t.Error("no bundle of which something was gone was rewritten")
		}
	})
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
			rewritten := 0
			for round := range 200 {
				a, b := p.Changes()
				if err := s.Commit(p.Now, a); err != nil {
					t.Fatal(err)
				}
				if err := model.Commit(p.Now, b); err != nil {
					t.Fatal(err)
				}
				mailboxtest.SameOutcomes(t, a, b)
				if round%3 == 0 {
					before := sequences(t, s)
					rewritten += s.rewrite(t, round%2 == 0)
					if after := sequences(t, s); !slices.Equal(before, after) {
						t.Fatalf("round %d: rewritten there is %v, and was %v", round, after, before)
					}
				}
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
					if _, foreign, err := s.Apply(part); err != nil || foreign != nil {
						t.Fatal(foreign, err)
					}
				}
				if got, want := p.State(t, s), p.State(t, model); got != want {
					t.Fatalf("round %d: made anew it is\n%s\nin memory\n%s", round, got, want)
				}
				// Who was away for some time hears of no more than that.
				from, _ := late.End()
				for _, e := range left {
					if e.Place > from {
						if _, foreign, err := late.Apply([]Applied{e}); err != nil || foreign != nil {
							t.Fatal(foreign, err)
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
			sparse.Add(int64(rewritten))
		})
	}
}

// TestMoved: what a relay keeps goes into a log that relays share, part by part. It is cut off, goes on at the relay, where people
// delete and leave more, and is begun again: then all is there, and nothing that is gone. It goes back to a relay of its own, too.
// Whoever remembers a sequence hears of everything that comes later.
func TestMoved(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			own := open(t, Config{Dir: "/mail", FS: vfs.NewMem(), Quotas: mailboxtest.Quotas(), MaxBytes: 1 << 30})
			defer own.Close()
			v, err := OpenView(t.TempDir(), mailboxtest.Quotas(), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer v.Close()
			s := &shared{v, make(map[string]Applied), make(map[uint64][]byte)}
			if err := v.Skip(1 << 40); err != nil { // where the log begins
				t.Fatal(err)
			}
			p := mailboxtest.NewPeople(seed)
			for round := range 10 {
				for range 20 {
					a, _ := p.Changes()
					if err := own.Commit(p.Now, a); err != nil {
						t.Fatal(err)
					}
				}
				for range 2 { // the second time there is nothing to do
					for {
						extra, err := v.Extra(own)
						if err != nil {
							t.Fatal(err)
						}
						if len(extra) == 0 {
							break
						}
						if err := s.Commit(p.Now, extra); err != nil {
							t.Fatal(err)
						}
					}
					was, _ := v.End()
					parts := 0
					err := own.Parts(func(part *Part) error {
						if parts++; round%3 == 1 && parts == 2 {
							return io.ErrUnexpectedEOF // cut off
						}
						plan, err := v.PlanPart(p.Now, part)
						if err != nil {
							return err
						}
						return s.append(plan)
					})
					if round%3 == 1 {
						break
					}
					if err == nil {
						err = v.Same(own)
					}
					if err != nil {
						t.Fatalf("round %d: %v", round, err)
					}
					if is, _ := v.End(); is == was {
						break
					}
				}
				if round%3 == 1 {
					continue
				}
				if got, want := p.State(t, s), p.State(t, own); got != want {
					t.Fatalf("round %d: moved it is\n%s\nand was\n%s", round, got, want)
				}
				if got, want := sequences(t, s), sequences(t, own); !slices.Equal(got, want) {
					t.Fatalf("round %d: moved there is %v, and was %v", round, got, want)
				}
			}
			// Some of it is lost: that is seen.
			if all := sequences(t, s); len(all) > 0 {
				d := &mailbox.Delete{Cells: []mailbox.CellID{all[0].Cell}}
				for i := range byte(3) {
					d.Box = mailbox.BoxPublic{i + 1}
					if err := s.Commit(p.Now, []mailbox.Change{d}); err != nil {
						t.Fatal(err)
					}
				}
				if v.Same(own) == nil {
					t.Fatal("a cell is missing, and nobody says so")
				}
			}
			back := open(t, Config{Dir: "/mail", FS: vfs.NewMem(), Quotas: mailboxtest.Quotas(), MaxBytes: 1 << 30})
			defer back.Close()
			err = v.Parts(func(b mailbox.BoxPublic, id mailbox.CellID) ([]byte, error) { return s.Cell(b, id, time.Time{}) },
				func(id mailbox.NoticeID) ([]byte, error) { return s.Notice(id, time.Time{}) }, back.Take)
			if err != nil {
				t.Fatal(err)
			}
			own.Close()
			if got, want := sequences(t, back), sequences(t, s); !slices.Equal(got, want) {
				t.Fatalf("moved back there is %v, and was %v", got, want)
			}
			_, got, _ := strings.Cut(p.State(t, back), "\n") // when the oldest came is not known any more
			if _, want, _ := strings.Cut(p.State(t, s), "\n"); got != want {
				t.Fatalf("moved back it is\n%s\nand was\n%s", got, want)
			}
			end, _ := v.End()
			for i := range byte(3) {
				box, q := mailbox.BoxPublic{i + 1}, mailbox.QID{100 + i}
				commit(t, back, p.Now, &mailbox.ReleaseBox{Box: mailbox.BoxPublic{9}}, &mailbox.GrantLease{Box: box, Until: p.Now.Add(100 * 24 * time.Hour)},
					&mailbox.OpenQueues{Box: box, Class: mailbox.Ordinary, Until: p.Now.Add(time.Hour), Queues: []mailbox.QID{q}})
				id := put(t, back, p.Now, q, mailbox.CellSmall)
				info, err := s.Box(box)
				entries, _, err2 := back.List(box, 0, 1000, p.Now)
				if err != nil || err2 != nil {
					t.Fatal(err, err2)
				}
				if last := entries[len(entries)-1]; last.Cell != mailbox.IDOf(id) || !info.Until.IsZero() && last.Sequence <= spot(end, 0) {
					t.Fatalf("a cell that came later has sequence %d, and the log ended at %d", last.Sequence, spot(end, 0))
				}
			}
		})
	}
}

// FuzzApply: whatever is in the log, a View goes on, unless a newer version wrote it.
func FuzzApply(f *testing.F) {
	for _, r := range records() {
		for _, adds := range []bool{false, true} {
			key := about(r, adds, 1)
			head := r.append(appendEntryHead(nil, entryVersion(r), adds, noon))
			f.Add(key, head[:len(head)-len(r.blob())], len(r.blob()))
		}
	}
	f.Add([]byte(nil), []byte(nil), 0)
	v, err := OpenView(f.TempDir(), mailboxtest.Quotas(), slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { v.Close() })
	f.Fuzz(func(t *testing.T, key, head []byte, size int) {
		end, _ := v.End()
		_, foreign, err := v.Apply([]Applied{{end + 1, key, head, size}})
		if errors.Is(err, ErrNewer) {
			return
		}
		if is, _ := v.End(); err != nil || is != end+1 {
			t.Fatal(is, err)
		}
		r, adds, _, err := parseEntry(head, size)
		if good := err == nil && len(key) > 0 && bytes.Equal(key, about(r, adds, end+1)); good && foreign != nil {
			t.Fatalf("%T is taken for another's", r)
		}
	})
}
