package store

import (
	"errors"
	"io/fs"
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
	return &recorded{diskFile{f}, r, filepath.Base(name.String())}, flags, nil
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
func after(ops []op, r *rand.Rand) (files map[string][]byte, commits int) {
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
			commits = int(o.off)
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
	return files, commits
}

// TestThePowerIsCutAnywhere: at each moment of a life with commits, checkpoints
// and a restart, whatever sectors the disk had taken, the database opens, is sound
// and has everything that was committed.
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
			update(t, s, func(tx *Tx) error { return writeBatch(tx, n) })
			r.note(op{kind: opCommit, off: int64(n)})
			if n%5 == 0 {
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
	for range cuts {
		cut := 1 + random.IntN(len(r.ops))
		files, commits := after(r.ops[:cut], random)
		if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
			t.Fatal(err)
		}
		for file, b := range files {
			if err := os.WriteFile(filepath.Join(dir, file), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := soundWith(t, filepath.Join(dir, "godwit.db"), commits); err != nil {
			t.Errorf("seed %d: cut after %d of %d operations, %d commits: %v", seed, cut, len(r.ops), commits, err)
		}
	}
	t.Logf("%d operations, %d cuts", len(r.ops), cuts)
}

// soundWith opens what a power cut left and looks for the committed batches.
func soundWith(t *testing.T, path string, commits int) (err error) {
	s, err := Open(t.Context(), path, testKey, Options{Create: commits == 0})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.Check(t.Context()); err != nil {
		return err
	}
	return s.View(t.Context(), func(tx *Tx) error {
		for n := 1; n <= commits; n++ {
			for i := range batch {
				if _, err := tx.Seen(batchHash(n, i)); err != nil {
					return err
				}
			}
		}
		last, err := tx.Setting("last")
		if commits == 0 && errors.Is(err, ErrNotFound) {
			return nil
		}
		if n, e := strconv.Atoi(string(last)); err == nil && (e != nil || n != commits && n != commits+1) {
			return fs.ErrInvalid
		}
		return err
	})
}
