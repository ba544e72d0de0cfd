package relay_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/relay"
)

// A relay moves while people leave mail there, fetch and delete it, and while it gives space back.
// On the new computer it is the same relay, with every cell that it gave a receipt for before the
// time that the export names and that was not deleted, and it goes on.
func TestRelayMovesUnderLoad(t *testing.T) {
	dir := t.TempDir()
	// A small cap has small segments, so that some die and are moved meanwhile.
	h := run(t, relay.Config{Data: filepath.Join(dir, "old"), Limits: relay.Limits{MaxDisk: 64 << 20}})
	h.until(t, relay.Serving)
	bob := moveIn(t, h.info())
	type left struct {
		id   mailbox.CellID
		cell []byte
		at   time.Time // by the receipt
	}
	var mu sync.Mutex
	var all []left
	deleted := map[mailbox.CellID]bool{}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	enough, once := make(chan struct{}), new(sync.Once)
	var working sync.WaitGroup
	for range 4 {
		alice := dial(t, h.info())
		working.Go(func() {
			for ctx.Err() == nil {
				cell := mailboxtest.Random(mailbox.CellMedium)
				r, err := alice.Put(ctx, bob.queue.Write, cell, 0)
				if errors.Is(err, mailbox.ErrQuota) || ctx.Err() != nil {
					continue // Bob makes room
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				all = append(all, left{mailbox.IDOf(cell), cell, r.Time})
				if len(all) > 300 {
					once.Do(func() { close(enough) })
				}
				mu.Unlock()
			}
		})
	}
	working.Go(func() { // Bob deletes what came first, and keeps some 200
		for ctx.Err() == nil {
			mu.Lock()
			var gone []mailbox.CellID
			if n := len(all) - len(deleted); n > 200 {
				for _, l := range all {
					if len(gone) < n-200 && !deleted[l.id] {
						gone = append(gone, l.id)
						deleted[l.id] = true // from now on it may be there or not
					}
				}
			}
			mu.Unlock()
			if len(gone) == 0 {
				runtime.Gosched()
				continue
			}
			if _, err := bob.Ack(ctx, gone...); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
		}
	})
	<-enough
	var file bytes.Buffer
	e, err := relay.ExportRunning(t.Context(), relay.Socket(h.data), &file)
	stop()
	working.Wait()
	if err != nil {
		t.Fatal(err)
	}
	before, err := relay.Status(t.Context(), relay.Socket(h.data))
	if err != nil {
		t.Fatal(err)
	}
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}

	elsewhere := filepath.Join(dir, "new")
	got, err := relay.Import(t.Context(), elsewhere, &file)
	if err != nil || got != e {
		t.Fatalf("exported %+v, imported %+v, %v", e, got, err)
	}
	n := run(t, relay.Config{Data: elsewhere})
	if n.ID() != h.ID() || n.Addrs()[0].String() != before.Addrs[0] {
		t.Errorf("it is %v now", n.Addrs())
	}
	reader := dial(t, n.info())
	if _, err := reader.Login(t.Context(), bob.key); err != nil {
		t.Fatal(err)
	}
	promised := 0
	for _, l := range all {
		if deleted[l.id] || !l.at.Before(e.Time) {
			continue
		}
		promised++
		if cell, err := reader.Get(t.Context(), l.id); err != nil || !bytes.Equal(cell, l.cell) {
			t.Fatalf("a cell of %v is lost: %v", l.at, err)
		}
	}
	if promised == 0 || len(deleted) == 0 {
		t.Errorf("%d cells were promised, %d deleted", promised, len(deleted))
	}
	if _, err := dial(t, n.info()).Put(t.Context(), bob.queue.Write, mailboxtest.Random(mailbox.CellSmall), 0); err != nil {
		t.Error(err)
	}
}

// A relay that does not run is exported too, and imported only where nothing is. Whatever is wrong
// with an export, nothing is made of it.
func TestExportsThatAreNoneMakeNothing(t *testing.T) {
	dir := t.TempDir()
	h := run(t, relay.Config{Data: filepath.Join(dir, "old")})
	h.until(t, relay.Serving)
	bob, addr := moveIn(t, h.info()), h.Addrs()[0]
	if _, err := bob.Put(t.Context(), bob.queue.Write, mailboxtest.Random(mailbox.CellSmall), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := relay.Export(h.data, io.Discard); !errors.Is(err, relay.ErrInUse) {
		t.Errorf("beside the one that runs: %v", err)
	}
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if e, err := relay.Export(h.data, &file); err != nil || e.Cells != 1 {
		t.Fatal(e, err)
	}
	good := file.Bytes()
	if _, err := relay.ExportRunning(t.Context(), relay.Socket(h.data), io.Discard); !errors.Is(err, relay.ErrNotRunning) {
		t.Error(err)
	}
	if _, err := relay.Export(filepath.Join(dir, "none"), io.Discard); err == nil {
		t.Error("nothing was exported")
	}
	if _, err := relay.Import(t.Context(), h.data, bytes.NewReader(good)); !errors.Is(err, relay.ErrThere) {
		t.Errorf("over a relay: %v", err)
	}
	// with is the export, changed: edit returns what becomes of a file, nil for none.
	with := func(edit func(name string, b []byte) []byte, more ...string) []byte {
		var out bytes.Buffer
		r, w := tar.NewReader(bytes.NewReader(good)), tar.NewWriter(&out)
		put := func(name string, b []byte) {
			if err := errors.Join(w.WriteHeader(&tar.Header{Name: name, Size: int64(len(b)), Mode: 0o600, Typeflag: tar.TypeReg}), second(w.Write(b))); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range more {
			put(name, nil)
		}
		for {
			head, err := r.Next()
			if err == io.EOF {
				break
			}
			b, err2 := io.ReadAll(r)
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
			if b = edit(head.Name, b); b != nil {
				put(head.Name, b)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	same := func(_ string, b []byte) []byte { return b }
	var log string // the first of its files
	with(func(name string, b []byte) []byte {
		if log == "" && strings.HasPrefix(name, "mail/log/") {
			log = name
		}
		return b
	})
	flip := func(which string) func(string, []byte) []byte {
		return func(name string, b []byte) []byte {
			if name == which {
				b = bytes.Clone(b)
				b[len(b)-1] ^= 1
			}
			return b
		}
	}
	without := func(which string) func(string, []byte) []byte {
		return func(name string, b []byte) []byte {
			if name == which {
				return nil
			}
			return b
		}
	}
	bad := map[string][]byte{
		"empty": {}, "noise": bytes.Repeat([]byte{7}, 5000), "cut short": good[:len(good)/2], "cut at its end": good[:len(good)-2000],
		"another key": with(flip("relay.key")), "another end": with(flip("end")), "a changed log": with(flip(log)),
		"no key": with(without("relay.key")), "no end": with(without("end")), "no log": with(without(log)),
	}
	for _, name := range []string{"../escaped", "/etc/passwd", "mail/log/../../../x", "relay.sock", "mail/index/a/b", "mail/index/..", "config.toml", "relay.lock"} {
		bad[fmt.Sprintf("%q in it", name)] = with(same, name)
	}
	place := filepath.Join(dir, "new")
	// Refused before a byte of it is written: there are as many as somebody likes.
	hole := append(holes(t, "mail/log/0000000000000009.log", 1<<24), good...)
	if _, err := relay.Import(t.Context(), place, bytes.NewReader(hole)); !errors.Is(err, relay.ErrExport) || !strings.Contains(err.Error(), "it holds") {
		t.Errorf("a file with holes: %v", err)
	}
	for name, raw := range bad {
		if _, err := relay.Import(t.Context(), place, bytes.NewReader(raw)); !errors.Is(err, relay.ErrExport) {
			t.Errorf("%s: %v", name, err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Fatalf("%s: %v %v", name, entries, err)
		}
	}
	if _, err := relay.Import(t.Context(), place, bytes.NewReader(with(same))); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		for _, name := range []string{"", "relay.key", "mail/log", log} {
			if info, err := os.Stat(filepath.Join(place, name)); err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: %v %v", name, info.Mode(), err)
			}
		}
	}
	n := run(t, relay.Config{Data: place})
	again := dial(t, n.info())
	if _, err := again.Login(t.Context(), bob.key); err != nil {
		t.Fatal(err)
	}
	if entries, _, err := again.List(t.Context(), 0); err != nil || len(entries) != 1 || !slices.ContainsFunc(n.Addrs(), addr.Equal) {
		t.Errorf("%v %v at %v", entries, err, n.Addrs())
	}
}

// A relay that was moved does not start where it was, until its operator takes the mark away; one that was only copied
// does, and so does one whose move failed.
func TestAMovedRelayDoesNotStartWhereItWas(t *testing.T) {
	dir := t.TempDir()
	h := run(t, relay.Config{Data: filepath.Join(dir, "old")})
	h.until(t, relay.Serving)
	if _, err := relay.Move(h.data, io.Discard, nil); !errors.Is(err, relay.ErrInUse) {
		t.Errorf("moved while it runs: %v", err)
	}
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left on device")
	if _, err := relay.Move(h.data, failing{full}, nil); !errors.Is(err, full) {
		t.Error(err)
	}
	if _, err := relay.Move(h.data, io.Discard, func() error { return full }); !errors.Is(err, full) {
		t.Error(err)
	}
	if _, err := relay.Export(h.data, io.Discard); err != nil {
		t.Error(err)
	}
	h = run(t, relay.Config{Data: h.data})
	h.until(t, relay.Serving)
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}

	var file bytes.Buffer
	e, err := relay.Move(h.data, &file, nil)
	if err != nil {
		t.Fatal(err)
	}
	start := func() error {
		r, err := relay.New(relay.Config{Data: h.data, Mode: node.Loopback})
		if err == nil {
			t.Fatalf("%v runs where it was", r.ID())
		}
		return err
	}
	if err := start(); !errors.Is(err, relay.ErrMoved) || !strings.Contains(err.Error(), e.Time.UTC().Format(time.RFC3339)) {
		t.Error(err)
	}
	// The file may be lost on its way: it is made once more, and what goes wrong then takes no mark away.
	if _, err := relay.Move(h.data, failing{full}, nil); !errors.Is(err, full) {
		t.Error(err)
	}
	if err := start(); !errors.Is(err, relay.ErrMoved) {
		t.Error(err)
	}
	mark := filepath.Join(h.data, "moved")
	if err := os.WriteFile(mark, []byte("\x1b[2J yesterday"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := start(); !errors.Is(err, relay.ErrMoved) || strings.Contains(err.Error(), "yesterday") {
		t.Error(err)
	}

	elsewhere := filepath.Join(dir, "new")
	if _, err := relay.Import(t.Context(), elsewhere, &file); err != nil {
		t.Fatal(err)
	}
	n := run(t, relay.Config{Data: elsewhere})
	if n.until(t, relay.Serving); n.ID() != h.ID() {
		t.Errorf("%v is another relay", n.ID())
	}
	if err := errors.Join(n.stop(), os.Remove(mark)); err != nil {
		t.Fatal(err)
	}
	run(t, relay.Config{Data: h.data}).until(t, relay.Serving)
}

// holes is a file of a tar that says it has size bytes, all of them zeros that are not
// there (the PAX records of GNU tar, sparse format 0.1).
func holes(t *testing.T, name string, size int64) []byte {
	t.Helper()
	var records, out bytes.Buffer
	for _, r := range []string{"GNU.sparse.major=0", "GNU.sparse.minor=1", fmt.Sprint("GNU.sparse.size=", size), "GNU.sparse.numblocks=0", "GNU.sparse.map="} {
		n := len(r) + len(" \n") + 2
		fmt.Fprintf(&records, "%d %s\n", n, r)
	}
	w := tar.NewWriter(&out)
	if err := errors.Join(
		w.WriteHeader(&tar.Header{Name: "holes", Size: int64(records.Len()), Mode: 0o600, Typeflag: tar.TypeReg}), second(w.Write(records.Bytes())),
		w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Typeflag: tar.TypeReg}), w.Flush(),
	); err != nil {
		t.Fatal(err)
	}
	raw := out.Bytes()
	sum := 0
	copy(raw[148:156], "        ")
	raw[156] = tar.TypeXHeader // which its writer does not let one make
	for _, b := range raw[:512] {
		sum += int(b)
	}
	copy(raw[148:156], fmt.Sprintf("%06o\x00 ", sum))
	if h, err := tar.NewReader(bytes.NewReader(raw)).Next(); err != nil || h.Size != size {
		t.Fatal(h, err)
	}
	return raw
}

// What stands in the way of an export or an import is named for what it is: neither a full disk nor
// who interrupts it makes an export a bad one.
func TestWhatIsWrongWithAMoveIsNotTheExport(t *testing.T) {
	dir := t.TempDir()
	h := run(t, relay.Config{Data: filepath.Join(dir, "old")})
	h.until(t, relay.Serving)
	full := errors.New("no space left on device")
	if _, err := relay.ExportRunning(t.Context(), relay.Socket(h.data), failing{full}); !errors.Is(err, full) || errors.Is(err, relay.ErrExport) {
		t.Errorf("a full disk: %v", err)
	}
	var file bytes.Buffer
	if _, err := relay.ExportRunning(t.Context(), relay.Socket(h.data), &file); err != nil {
		t.Fatal(err)
	}
	place := filepath.Join(dir, "new")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := relay.Import(ctx, place, bytes.NewReader(file.Bytes())); !errors.Is(err, context.Canceled) || errors.Is(err, relay.ErrExport) {
		t.Errorf("interrupted: %v", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	// A link to the directory, such as systemd has in /var/lib, leads to the relay afterwards.
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "private", "relay"), 0o700), os.Symlink(filepath.Join(dir, "private", "relay"), place)); err != nil {
		t.Fatal(err)
	}
	if _, err := relay.Import(t.Context(), place, &file); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(place); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v %v", info.Mode(), err)
	}
	if _, err := os.Stat(filepath.Join(dir, "private", "relay", "relay.key")); err != nil {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func second[T any](_ T, err error) error { return err }

// elsewhere is a store of which there is an index here alone.
type elsewhere struct{ *mailboxtest.Memory }

func (elsewhere) Run(ctx context.Context) error { <-ctx.Done(); return nil }
func (elsewhere) Room() (int64, string)         { return 1 << 30, "" }

func openElsewhere(c relay.StoreConfig) (relay.Store, error) {
	return elsewhere{mailboxtest.NewMemory(c.Quotas, 0)}, os.MkdirAll(filepath.Join(c.Dir, "view"), 0o700)
}

// A relay whose mail is in a store that relays share is not copied with its directory,
// and does not begin anew there without that store.
func TestMailElsewhereIsNotTakenForNone(t *testing.T) {
	h := run(t, relay.Config{Data: t.TempDir(), Store: openElsewhere})
	h.until(t, relay.Serving)
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := relay.Export(h.data, io.Discard); !errors.Is(err, relay.ErrShared) {
		t.Errorf("exported: %v", err)
	}
	if _, err := relay.New(relay.Config{Data: h.data, Mode: node.Loopback}); !errors.Is(err, relay.ErrShared) {
		t.Errorf("started without its store: %v", err)
	}
	if err := run(t, relay.Config{Data: h.data, Store: openElsewhere}).stop(); err != nil {
		t.Errorf("started with it: %v", err)
	}
}
