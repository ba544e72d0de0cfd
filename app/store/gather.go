package store

import (
	"errors"
	"fmt"
	"sync"

	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
)

// gather is the layer over the encryption that puts together what SQLite writes
// to the WAL between two syncs. A commit writes each page and its 24-byte header
// by itself, so that nothing lies on the cipher's blocks of 4 KiB: each write
// would decrypt and encrypt again what its neighbours have just encrypted.
// Together they are encrypted once. Other files pass as they are.
//
// Nothing is promised less: what SQLite wants to be on the disk it syncs
// (synchronous=FULL), and other connections read a frame only after that. There is
// one exception. SQLite fills the last sector of a commit with a second copy of its
// last frame, syncs at the sector's end, and writes the rest of the copy after the
// sync, where others may read it at once: so the rest of a frame that a sync has cut
// is passed on as it comes.
//
// A transaction that need not reach the disk at once (Tx.Lazy) is written when
// SQLite syncs it, and the sync is left to the next one. SQLite still begins the
// next commit on a sector of its own, so that nothing which was synced is ever
// written again, and a checkpoint syncs the WAL before it copies from it.
//
// The rest of that copy shares its block with the first frame of the next commit. To write the one is to
// encrypt the other anew, and an operating system lets a reader see half of a write: so nobody
// reads a WAL while a piece of it is passed on.
type gather struct {
	vfs.VFS
	passing *sync.RWMutex
}

// gatherMax bounds what is held back, in bytes.
const gatherMax = 1 << 20

// OpenFilename implements vfs.VFSFilename.
func (g gather) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, flags, err := vfsutil.WrapOpenFilename(g.VFS, name, flags)
	if err != nil || flags&vfs.OPEN_WAL == 0 {
		return f, flags, err
	}
	below, ok := vfsutil.UnwrapFile[*diskFile](f)
	if !ok {
		return nil, flags, errors.Join(fmt.Errorf("the driver hides its file (%T)", f), f.Close())
	}
	return &gathered{File: f, disk: below, passing: g.passing}, flags, nil
}

// gathered is a WAL with a piece that is not written yet.
type gathered struct {
	vfs.File
	disk    *diskFile     // below the encryption
	passing *sync.RWMutex // one for all WALs of the process: a piece is written in some 50 µs
	piece   []byte
	at      int64 // where the piece begins
	cut     bool  // the last sync cut a frame
	rest    int64 // where the rest of that frame goes on
	lazy    bool  // the commit that comes may be synced with the next one
	owed    bool  // there was such a commit since the last sync
}

// walHeader is the length of what SQLite writes, and syncs, when it begins a WAL
// anew (https://sqlite.org/fileformat.html, 4.1).
const walHeader = 32

// frameAt tells whether a frame begins at an offset: frames of a 24-byte header and
// a page follow a header of 32 bytes (https://sqlite.org/fileformat.html, 4.1).
func frameAt(off int64) bool { return off <= walHeader || (off-walHeader)%(24+pageSize) == 0 }

func (f *gathered) end() int64 { return f.at + int64(len(f.piece)) }

// flush writes the piece. A piece that cannot be written is dropped, with the
// error for whoever asked: SQLite then gives up the transaction it belongs to.
func (f *gathered) flush() error {
	if len(f.piece) == 0 {
		return nil
	}
	f.passing.Lock()
	err := f.disk.together(func() error {
		_, err := f.File.WriteAt(f.piece, f.at)
		return err
	})
	f.passing.Unlock()
	f.piece = f.piece[:0]
	return err
}

// WriteAt adds to the piece, after writing it if it does not end where the new
// part begins.
func (f *gathered) WriteAt(p []byte, off int64) (int, error) {
	if f.cut && off == f.rest {
		f.passing.Lock()
		n, err := f.File.WriteAt(p, off)
		f.passing.Unlock()
		f.rest += int64(n)
		f.cut = !frameAt(f.rest)
		return n, err
	}
	f.cut = false
	if len(f.piece) > 0 && (off != f.end() || len(f.piece)+len(p) > gatherMax) {
		if err := f.flush(); err != nil {
			return 0, err
		}
	}
	if len(f.piece) == 0 {
		f.at = off
	}
	f.piece = append(f.piece, p...)
	return len(p), nil
}

func (f *gathered) ReadAt(p []byte, off int64) (int, error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	f.passing.RLock()
	defer f.passing.RUnlock()
	return f.File.ReadAt(p, off)
}

func (f *gathered) Truncate(size int64) error {
	if err := f.flush(); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *gathered) Sync(flags vfs.SyncFlag) error {
	if len(f.piece) > 0 {
		f.rest = f.end()
		f.cut = !frameAt(f.rest)
	}
	header := f.at == 0 && len(f.piece) == walHeader
	if err := f.flush(); err != nil {
		return err
	}
	if f.lazy && !header {
		f.lazy, f.owed = false, true
		return nil
	}
	err := f.File.Sync(flags)
	f.owed = f.owed && err != nil
	return err
}

func (f *gathered) Size() (int64, error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	return f.File.Size()
}

func (f *gathered) Close() error {
	err := f.flush()
	if cerr := f.File.Close(); err == nil {
		err = cerr
	}
	return err
}

func (f *gathered) Unwrap() vfs.File { return f.File }
