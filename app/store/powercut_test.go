package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
)

// op is something that was done to a disk.
type op struct {
	kind opKind
	file string
	off  int64 // or the size of a truncation, or the number of a commit
	data []byte
}

type opKind byte

const (
	opWrite opKind = iota
	opTruncate
	opSync
	opDelete
	opCommit // not of the disk: Update returned
	opLazy   // the same of a lazy one
)

// recorder is a disk that remembers what was done to it, below the encryption.
type recorder struct {
	vfs.VFS
	mu  sync.Mutex
	ops []op
}

func (r *recorder) note(o op) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, o)
}

func (r *recorder) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, flags, err := vfsutil.WrapOpenFilename(r.VFS, name, flags)
	if err != nil {
		return nil, flags, err
	}
	return &recorded{diskFile{File: f}, r, filepath.Base(name.String())}, flags, nil
}

func (r *recorder) Delete(name string, syncDir bool) error {
	err := r.VFS.Delete(name, syncDir)
	if err == nil {
		r.note(op{kind: opDelete, file: filepath.Base(name)})
	}
	return err
}

type recorded struct {
	diskFile
	r    *recorder
	name string
}

func (f *recorded) WriteAt(p []byte, off int64) (int, error) {
	f.r.note(op{opWrite, f.name, off, append([]byte{}, p...)})
	return f.diskFile.WriteAt(p, off)
}

func (f *recorded) Truncate(size int64) error {
	f.r.note(op{kind: opTruncate, file: f.name, off: size})
	return f.diskFile.Truncate(size)
}

func (f *recorded) Sync(flags vfs.SyncFlag) error {
	err := f.diskFile.Sync(flags)
	if err == nil {
		f.r.note(op{kind: opSync, file: f.name})
	}
	return err
}

// after is what a power cut after ops may leave of the files: all that was synced,
// and of what was not, any sectors.
// It tells how many commits were promised, and how many there were with those that
// may wait for the disk.
func after(ops []op, r *rand.Rand) (files map[string][]byte, commits, all int) {
	const sector = 512
	files = map[string][]byte{}
	pending := map[string][]op{}
	apply := func(o op) {
		b := files[o.file]
		switch o.kind {
		case opWrite:
			if need := o.off + int64(len(o.data)); int64(len(b)) < need {
				b = append(b, make([]byte, need-int64(len(b)))...)
			}
			copy(b[o.off:], o.data)
		case opTruncate:
			b = append(b, make([]byte, max(0, o.off-int64(len(b))))...)[:o.off]
		}
		files[o.file] = b
	}
	for _, o := range ops {
		if b, ok := files["godwit.db.new"]; ok && strings.HasPrefix(o.file, "godwit.db") && !strings.Contains(o.file, ".new") {
			files["godwit.db"] = b // the rename, which is not the recorder's to see
			delete(files, "godwit.db.new")
		}
		switch o.kind {
		case opSync:
			for _, p := range pending[o.file] {
				apply(p)
			}
			delete(pending, o.file)
		case opDelete:
			delete(files, o.file)
			delete(pending, o.file)
		case opCommit:
			commits, all = int(o.off), int(o.off)
		case opLazy:
			all = int(o.off)
		default:
			pending[o.file] = append(pending[o.file], o)
		}
	}
	how := r.IntN(3)
	for _, list := range pending {
		for _, p := range list {
			switch {
			case how == 0: // nothing of it
			case how == 1 && r.IntN(2) == 0: // whole writes, in some order of luck
				apply(p)
			case how == 2 && p.kind == opWrite: // sectors
				for i := 0; i < len(p.data); i += sector {
					if r.IntN(2) == 0 {
						apply(op{opWrite, p.file, p.off + int64(i), p.data[i:min(i+sector, len(p.data))]})
					}
				}
			}
		}
	}
	return files, commits, all
}

// TestThePowerIsCutAnywhere: at each moment of a life with commits, checkpoints
// and a restart, whatever sectors the disk had taken, the database opens, is sound
// and has everything that was committed, and of lazy commits the first ones or all.
func TestThePowerIsCutAnywhere(t *testing.T) {
	r := &recorder{VFS: vfs.Find("")}
	const name = "recorder"
	vfs.Register(name, stack(r))
	defer vfs.Unregister(name)
	path := filepath.Join(t.TempDir(), "godwit.db")
	n := 0
	for range 2 {
		s := openAt(t, path, Options{Create: true, vfs: name})
		for range 12 {
			n++
			o := op{kind: opCommit, off: int64(n)}
			update(t, s, func(tx *Tx) error {
				if n%3 != 0 {
					tx.Lazy()
					o.kind = opLazy
				}
				return writeBatch(tx, n)
			})
			r.note(o)
			switch n % 8 {
			case 4:
				if err := s.Sync(t.Context()); err != nil {
					t.Fatal(err)
				}
				r.note(op{kind: opCommit, off: int64(n)})
			case 5:
				if err := s.Maintain(t.Context(), day0()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	cuts := 60
	if testing.Short() {
		cuts = 20
	}
	dir := t.TempDir()
	lost := 0
	var lazy []int // few among all that is done to the disk: half of the cuts come soon after one
	for i, o := range r.ops {
		if o.kind == opLazy {
			lazy = append(lazy, i+1)
		}
	}
	for i := range cuts {
		cut := 1 + random.IntN(len(r.ops))
		if i%2 == 0 {
			cut = min(lazy[random.IntN(len(lazy))]+random.IntN(3), len(r.ops))
		}
		files, commits, all := after(r.ops[:cut], random)
		if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
			t.Fatal(err)
		}
		for file, b := range files {
			if err := os.WriteFile(filepath.Join(dir, file), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		n, err := soundWith(t, filepath.Join(dir, "godwit.db"), commits, all)
		if err != nil {
			t.Errorf("seed %d: cut after %d of %d operations, %d commits of %d: %v", seed, cut, len(r.ops), commits, all, err)
		}
		lost += max(0, all-n)
	}
	t.Logf("%d operations, %d cuts, %d lazy commits lost", len(r.ops), cuts, lost)
	if lost == 0 {
		t.Error("no cut took a lazy commit back: they were synced")
	}
}

// soundWith opens what a power cut left, looks for the committed batches and tells
// how many there are. One more than all may be: of a commit that had not returned.
func soundWith(t *testing.T, path string, commits, all int) (n int, err error) {
	s, err := Open(t.Context(), path, testKey, Options{Create: commits == 0})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.Check(t.Context()); err != nil {
		return 0, err
	}
	err = s.View(t.Context(), func(tx *Tx) error {
		last, err := tx.Setting("last")
		if errors.Is(err, ErrNotFound) && commits == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		if n, err = strconv.Atoi(string(last)); err != nil {
			return err
		}
		if n < commits || n > all+1 {
			return fmt.Errorf("the last one is %d", n)
		}
		for b := 1; b <= n; b++ {
			for i := range batch {
				if _, err := tx.Seen(batchHash(b, i)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return n, err
}
