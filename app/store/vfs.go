package store

import (
	"errors"
	"sync"
	"syscall"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
	"github.com/ncruces/go-sqlite3/vfs/adiantum"
)

// vfsName is how SQLite finds our stack of layers: checksums (the driver's own)
// over gather over Adiantum over a disk that says when it is full.
const vfsName = "godwit"

// registerVFS makes the stack known to SQLite. Doing it again changes nothing.
func registerVFS() {
	if vfs.Find(vfsName) == nil {
		vfs.Register(vfsName, stack(vfs.Find("")))
	}
}

// stack puts our layers over the operating system's files.
func stack(base vfs.VFS) vfs.VFS { return gather{adiantum.Wrap(disk{base}, nil), new(sync.RWMutex)} }

// errDiskFull is what Windows says, ERROR_DISK_FULL, where others say ENOSPC.
const errDiskFull = syscall.Errno(112)

// full gives the error of a full disk the code by which SQLite knows it: the
// driver's own translation misses it behind an fs.PathError.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, errDiskFull) {
		return sqlite3.FULL
	}
	return err
}

// disk is the operating system's files, with full.
type disk struct{ vfs.VFS }

// OpenFilename implements vfs.VFSFilename.
func (d disk) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, flags, err := vfsutil.WrapOpenFilename(d.VFS, name, flags)
	if err != nil {
		return nil, flags, full(err)
	}
	return &diskFile{File: f}, flags, nil
}

// diskFile passes on what the layers above ask of a file, and full.
type diskFile struct {
	vfs.File
	held  bool // what is written goes into the piece
	piece []byte
	at    int64 // where the piece begins
}

// ahead is by how much a file that is written together grows, in bytes: room for some twenty
// messages. What a sync has to write is then most often the data alone, without the length of
// the file, which takes less than half the time.
const ahead = 1 << 20

// together has all that a function writes, one block after the other, go to the disk at
// once. The cipher encrypts each block by itself, and each would be a call of the
// operating system. The function must not read what it writes.
func (f *diskFile) together(write func() error) error {
	f.held, f.piece = true, f.piece[:0]
	err := write()
	f.held = false
	if err != nil || len(f.piece) == 0 {
		return err
	}
	end := f.at + int64(len(f.piece))
	size, err := f.File.Size()
	if err != nil {
		return err
	}
	if end > size {
		longer := make([]byte, len(f.piece)+ahead-int(end%ahead))
		copy(longer, f.piece)
		if _, err := f.File.WriteAt(longer, f.at); err == nil {
			return nil
		}
		if err := f.File.Truncate(size); err != nil { // there is no room for so much
			return full(err)
		}
	}
	_, err = f.File.WriteAt(f.piece, f.at)
	return full(err)
}

func (f *diskFile) WriteAt(p []byte, off int64) (int, error) {
	if f.held {
		switch {
		case len(f.piece) == 0:
			f.at = off
		case off != f.at+int64(len(f.piece)):
			panic("store: what is written together has a gap")
		}
		f.piece = append(f.piece, p...)
		return len(p), nil
	}
	n, err := f.File.WriteAt(p, off)
	return n, full(err)
}

func (f *diskFile) Truncate(size int64) error       { return full(f.File.Truncate(size)) }
func (f *diskFile) Sync(flags vfs.SyncFlag) error   { return full(f.File.Sync(flags)) }
func (f *diskFile) SizeHint(size int64) error       { return full(vfsutil.WrapSizeHint(f.File, size)) }
func (f *diskFile) Unwrap() vfs.File                { return f.File }
func (f *diskFile) SharedMemory() vfs.SharedMemory  { return vfsutil.WrapSharedMemory(f.File) }
func (f *diskFile) LockState() vfs.LockLevel        { return vfsutil.WrapLockState(f.File) }
func (f *diskFile) HasMoved() (bool, error)         { return vfsutil.WrapHasMoved(f.File) }
func (f *diskFile) BusyHandler(handler func() bool) { vfsutil.WrapBusyHandler(f.File, handler) }
