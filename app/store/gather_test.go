package store

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/ncruces/go-sqlite3/vfs"
)

// TestReadersBesideAWriterSeeWholeCommits: what other connections read of the WAL
// has left gather, whatever the size of a commit.
func TestReadersBesideAWriterSeeWholeCommits(t *testing.T) {
	s := openNew(t)
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	update(t, s, func(tx *Tx) error { return putAll(tx, names, []byte{0}) })
	done := make(chan struct{})
	var reading sync.WaitGroup
	for range readers {
		reading.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				err := s.View(t.Context(), func(tx *Tx) error {
					first, err := tx.Setting(names[0])
					if err != nil {
						return err
					}
					for _, name := range names[1:] {
						if value, err := tx.Setting(name); err != nil || !bytes.Equal(value, first) {
							return errors.Join(err, errors.New("half of a commit is seen"))
						}
					}
					return nil
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 400 {
		value := bytes.Repeat([]byte{byte(i)}, 1+rng.IntN(3*pageSize))
		update(t, s, func(tx *Tx) error { return putAll(tx, names[:], value) })
	}
	close(done)
	reading.Wait()
}

// TestTheWALGrowsAhead: a commit finds the WAL long enough, and a process that dies leaves
// nothing behind that is taken for one.
func TestTheWALGrowsAhead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "godwit.db")
	s := openAt(t, path, Options{Create: true})
	for i := range 20 {
		update(t, s, func(tx *Tx) error { return tx.PutSetting("a", []byte{byte(i)}) })
		info, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		same(t, "length of the WAL", info.Size(), ahead)
	}
	copyAll(t, dir, dir+"-crashed")
	s = openAt(t, filepath.Join(dir+"-crashed", "godwit.db"), Options{})
	same(t, "last commit", string(get(t, s, func(tx *Tx) ([]byte, error) { return tx.Setting("a") })), "\x13")
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// bare is a file of the operating system, with what is asked of it here.
type bare struct {
	vfs.File // nil
	on       *os.File
}

func (f bare) ReadAt(p []byte, off int64) (int, error)  { return f.on.ReadAt(p, off) }
func (f bare) WriteAt(p []byte, off int64) (int, error) { return f.on.WriteAt(p, off) }
func (f bare) Truncate(size int64) error                { return f.on.Truncate(size) }
func (f bare) Size() (int64, error) {
	info, err := f.on.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func putAll(tx *Tx, names []string, value []byte) error {
	for _, name := range names {
		if err := tx.PutSetting(name, value); err != nil {
			return err
		}
	}
	return nil
}

// TestAPieceIsReadWholeOrNotAtAll: a block that is written again while another connection reads
// it is seen as it was or as it is.
func TestAPieceIsReadWholeOrNotAtAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a-wal")
	passing := new(sync.RWMutex)
	open := func() *gathered {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		disk := &diskFile{File: bare{on: f}}
		return &gathered{File: disk, disk: disk, passing: passing}
	}
	writer, reader := open(), open()
	write := func(i byte) {
		if _, err := writer.WriteAt(bytes.Repeat([]byte{i}, 3*pageSize), 0); err != nil {
			t.Error(err)
		}
		if err := writer.flush(); err != nil {
			t.Error(err)
		}
	}
	write(0)
	done := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() {
		block := make([]byte, pageSize)
		for {
			select {
			case <-done:
				return
			default:
			}
			if _, err := reader.ReadAt(block, 0); err != nil || !bytes.Equal(block, bytes.Repeat(block[:1], pageSize)) {
				t.Errorf("half a block: %v", err)
				return
			}
		}
	})
	for i := range 20_000 {
		write(byte(i))
	}
	close(done)
	reading.Wait()
}
