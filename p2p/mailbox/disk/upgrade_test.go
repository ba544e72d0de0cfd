package disk

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/godwit-im/godwit/p2p/mailbox"
)

// unpack makes the files of a tar.gz in a directory.
func unpack(t *testing.T, name string) (dir string) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil || !filepath.IsLocal(h.Name) {
			t.Fatal(h, err)
		}
		path := filepath.Join(dir, h.Name)
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o700)
		} else {
			var b []byte
			if b, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(path, b, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestUpgrade: a relay that stopped, killed, under an earlier version of what is on disk goes on
// under this one. Each file of testdata was written by its version and is never made anew; in it
// is an index that was closed in order, and behind it a segment that only the log has.
func TestUpgrade(t *testing.T) {
	for version, oldest := range map[byte]time.Time{
		1: noon, // what it kept is taken to have been left for the longest
		2: noon.Add(-time.Hour),
		3: noon.Add(-time.Hour),
	} {
		token := version >= 3
		t.Run(fmt.Sprint(version), func(t *testing.T) { upgraded(t, unpack(t, testdata(version)), oldest, token) })
		// The power fails when all is written but row p, by which the index would be one of this version.
		t.Run(fmt.Sprint(version, " twice"), func(t *testing.T) {
			dir := unpack(t, testdata(version))
			db, err := pebble.Open(filepath.Join(dir, "index"), &pebble.Options{Logger: pebbleLog{slog.New(slog.DiscardHandler)}})
			if err != nil {
				t.Fatal(err)
			}
			totals, end, err := db.Get(keyTotals())
			if err != nil || totals[0] != version {
				t.Fatal(totals, err)
			}
			if err := errors.Join(upgrade(db, version, bytes.Clone(totals)), end.Close(), db.Close()); err != nil {
				t.Fatal(err)
			}
			upgraded(t, dir, oldest, token)
		})
	}
}

func testdata(version byte) string { return fmt.Sprintf("testdata/v%d.tar.gz", version) }

// A relay of an earlier version is killed, or its power fails, in the middle of a commit: this version goes on with
// what the log holds up to there, and keeps what was promised before.
func TestUpgradeOfWhatWasKilledInACommit(t *testing.T) {
	box, other, now := mailbox.BoxPublic{1}, mailbox.BoxPublic{2}, noon.Add(time.Minute)
	cell := func(n byte, size int) []byte { return bytes.Repeat([]byte{n}, size) }
	for _, version := range []byte{1, 2, 3} {
		const last = "log/0000000000000002.log"
		whole, err := os.ReadFile(filepath.Join(unpack(t, testdata(version)), last))
		if err != nil {
			t.Fatal(err)
		}
		for _, left := range []int{0, 5, 40, len(whole) / 2, len(whole) - 1} {
			dir := unpack(t, testdata(version))
			torn := append(bytes.Clone(whole[:left]), make([]byte, 300)...) // which the file system had given it already
			if err := os.WriteFile(filepath.Join(dir, last), torn, 0o600); err != nil {
				t.Fatal(err)
			}
			s := open(t, Config{Dir: dir, MaxBytes: 8 << 20})
			fresh := put(t, s, now, mailbox.QID{1}, mailbox.CellSmall)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, Config{Dir: dir, MaxBytes: 8 << 20})
			for _, c := range []struct {
				of   mailbox.BoxPublic
				cell []byte
			}{
				{box, cell(1, mailbox.CellSmall)}, {box, cell(3, mailbox.CellLarge)}, {box, fresh},
				{other, cell(4, mailbox.CellMedium)}, {other, cell(5, mailbox.CellMedium)},
			} {
				if got, err := s.Cell(c.of, mailbox.IDOf(c.cell), now); err != nil || !bytes.Equal(got, c.cell) {
					t.Errorf("version %d, of whose last segment %d of %d bytes are left, lost a cell: %v", version, left, len(whole), err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// token says that both boxes were paid for by one, which version 3 is the first to know.
func upgraded(t *testing.T, dir string, oldest time.Time, token bool) {
	cfg := Config{Dir: dir, MaxBytes: 8 << 20}
	box, other, now := mailbox.BoxPublic{1}, mailbox.BoxPublic{2}, noon.Add(time.Minute)
	cell := func(n byte, size int) []byte { return bytes.Repeat([]byte{n}, size) }
	for range 2 {
		s := open(t, cfg)
		holds(t, s, now, box, cell(1, mailbox.CellSmall), cell(3, mailbox.CellLarge), cell(7, mailbox.CellSmall))
		holds(t, s, now, other, cell(4, mailbox.CellMedium), cell(5, mailbox.CellMedium), cell(6, mailbox.CellMedium))
		holds(t, s, noon.Add(mailbox.MaxTTL), box, cell(1, mailbox.CellSmall)) // which was left again, for longer
		if n, weakest, err := s.Intro(mailbox.QID{4}, now); n != 2 || weakest != 3 || err != nil {
			t.Fatal(n, weakest, err)
		}
		if b, err := s.Notice(mailbox.NoticeID{1}, now); err != nil || !bytes.Equal(b, cell(9, mailbox.NoticeSize)) {
			t.Fatal("not the notice", err)
		}
		if err := s.Writable(mailbox.QID{2}, now); !errors.Is(err, mailbox.ErrUnknownQueue) {
			t.Fatalf("a queue that was closed: %v", err)
		}
		want := mailbox.Usage{Cells: 6, Bytes: 2*mailbox.CellSmall + mailbox.CellLarge + 3*mailbox.CellMedium + mailbox.NoticeSize, Queues: 3, Boxes: 2, Notices: 1}
		got := s.Usage()
		if !got.Oldest.Equal(oldest) {
			t.Fatalf("the oldest cell came at %v, not %v", got.Oldest, oldest)
		}
		got.Oldest = time.Time{}
		if got.Disk = 0; got != want || !s.Latest().Equal(now) {
			t.Fatalf("%+v at %v, want %+v", got, s.Latest(), want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, cfg)
	defer func() { s.Close() }()
	for _, b := range []mailbox.BoxPublic{box, other} {
		if info, err := s.Box(b); err != nil || !info.Until.After(now) || info.Token != token {
			t.Fatalf("%+v, %v", info, err)
		}
	}
	fresh := put(t, s, now, mailbox.QID{1}, mailbox.CellSmall)
	holds(t, s, now, box, cell(1, mailbox.CellSmall), cell(3, mailbox.CellLarge), cell(7, mailbox.CellSmall), fresh)
	// What the log tells from now on is there after a restart, too.
	commit(t, s, now, &mailbox.EndLease{Box: other})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, cfg)
	if info, err := s.Box(other); err != nil || info.Until.After(now) {
		t.Fatalf("%+v, %v", info, err)
	}
	// What an earlier version did not know of a box goes with it.
	for _, b := range []mailbox.BoxPublic{box, other} {
		commit(t, s, now, &mailbox.ReleaseBox{Box: b})
	}
	if u := s.Usage(); u.Cells+u.Bytes+u.Queues+u.Boxes+u.Notices != 0 {
		t.Fatalf("of boxes that were given back there is left %+v", u)
	}
}
