package relay

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/godwit-im/godwit/p2p/mailbox/disk"
)

// An export is a tar of a relay's directory, by which the relay goes on elsewhere: its key,
// where it listens, what it knows of the DHT, what it did (history), and the mail (p2p/mailbox/disk, FORMAT.md).
// Its last file, end, holds
//
//	version 1 (=1) ‖ time 8 (unix milliseconds) ‖ cells 8 ‖ SHA-256 32
//
// the hash being over name ‖ 0 ‖ size 8 ‖ bytes of each file before it. In it is every
// cell for which a receipt of an earlier time was given and that was not deleted.
//
// A relay that was moved leaves a mark in its directory, the file moved: the time of its
// export (RFC 3339, a line). It is not in the export.

var (
	// ErrExport says that what was read is not a whole export.
	ErrExport = errors.New("relay: this is not a whole export of a relay")
	// ErrThere says that nothing is imported where something is.
	ErrThere = errors.New("relay: there is something in the directory")
	// ErrMoved says that a relay was moved away from a directory, see Move, and goes on elsewhere.
	ErrMoved = errors.New("relay: it was moved away")
)

const (
	exportVersion = 1
	endFile       = "end"
	movedFile     = "moved"
	maxSmall      = 1 << 20 // bytes of a file beside the mail
)

// Exported tells what is in an export.
type Exported struct {
	Time  time.Time // every receipt before it is honoured
	Cells uint64
	sum   string // of what was read
}

func (e Exported) marshal(sum []byte) []byte {
	var b cryptobyte.Builder
	b.AddUint8(exportVersion)
	b.AddUint64(uint64(e.Time.UnixMilli()))
	b.AddUint64(e.Cells)
	b.AddBytes(sum)
	return b.BytesOrPanic()
}

func parseEnd(raw []byte) (e Exported, sum []byte, err error) {
	s := cryptobyte.String(raw)
	var version uint8
	var milli uint64
	if !s.ReadUint8(&version) || version != exportVersion || !s.ReadUint64(&milli) || milli > 1<<48 || !s.ReadUint64(&e.Cells) || !s.ReadBytes(&sum, sha256.Size) || !s.Empty() {
		return e, nil, fmt.Errorf("%w: its end", ErrExport)
	}
	e.Time, e.sum = time.UnixMilli(int64(milli)), hex.EncodeToString(sum)
	return e, sum, nil
}

// small are the files beside the mail.
var small = regexp.MustCompile(`^(relay\.key|history|(listen|dht)\.(public|lan|loopback))$`)

// mail are those of the store.
var mail = regexp.MustCompile(`^mail/(log/[0-9]{16}\.log|index/[A-Za-z0-9][A-Za-z0-9._-]{0,60})$`)

// archive writes an export.
type archive struct {
	tar *tar.Writer
	sum hash.Hash
}

func newHeading(name string, size int64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(name), 0), uint64(size))
}

func (a *archive) add(name string, size int64, r io.Reader) error {
	a.sum.Write(newHeading(name, size))
	if err := a.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, Format: tar.FormatPAX}); err != nil {
		return err
	}
	n, err := io.Copy(io.MultiWriter(a.tar, a.sum), r)
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// export writes the export of a relay's directory, whose store is open. Before it is whole
// it calls leave, if that is not nil.
func export(data string, store *disk.Store, to io.Writer, leave func(*Exported) error) (e Exported, err error) {
	a := &archive{tar.NewWriter(to), sha256.New()}
	entries, err := os.ReadDir(data)
	if err != nil {
		return e, fmt.Errorf("relay: export: %w", err)
	}
	for _, entry := range entries {
		if !small.MatchString(entry.Name()) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(data, entry.Name()))
		if err == nil {
			err = a.add(entry.Name(), int64(len(b)), bytes.NewReader(b))
		}
		if err != nil {
			return e, fmt.Errorf("relay: export: %w", err)
		}
	}
	e.Time, e.Cells, err = store.Snapshot(func(name string, size int64, r io.Reader) error { return a.add("mail/"+name, size, r) })
	if err != nil {
		return e, fmt.Errorf("relay: export: %w", err)
	}
	if leave != nil {
		if err := leave(&e); err != nil {
			return e, err
		}
	}
	end := e.marshal(a.sum.Sum(nil))
	if err := a.add(endFile, int64(len(end)), bytes.NewReader(end)); err != nil {
		return e, fmt.Errorf("relay: export: %w", err)
	}
	return e, a.tar.Close()
}

// Export writes an export of the relay in a directory, which does not run. Errors are those of New,
// but for ErrMoved.
func Export(data string, to io.Writer) (Exported, error) {
	return exportStopped(data, to, nil)
}

// Move is Export of a relay that goes on elsewhere: the directory is marked, and New refuses it from
// then on. keep, which may be nil, makes what was written durable. No whole export comes out of it
// without the mark, and if there is an error, of keep too, the directory is as it was.
func Move(data string, to io.Writer, keep func() error) (Exported, error) {
	return moving(data, keep, func(leave func(*Exported) error) (Exported, error) { return exportStopped(data, to, leave) })
}

func moving(data string, keep func() error, export func(leave func(*Exported) error) (Exported, error)) (e Exported, err error) {
	path := filepath.Join(data, movedFile)
	_, before := os.Stat(path)
	e, err = export(func(e *Exported) error {
		if err := writeFile(path, fmt.Appendf(nil, "%s\n", e.Time.UTC().Format(time.RFC3339))); err != nil {
			return fmt.Errorf("relay: move: %w", err)
		}
		return nil
	})
	if err == nil && keep != nil {
		err = keep()
	}
	if err != nil && errors.Is(before, fs.ErrNotExist) {
		if left := os.Remove(path); !errors.Is(left, fs.ErrNotExist) {
			err = errors.Join(err, left)
		}
	}
	return e, err
}

// notMoved is an error that wraps ErrMoved if the relay of a directory was moved away.
func notMoved(data string) error {
	raw, err := os.ReadFile(filepath.Join(data, movedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	when, err := time.Parse(time.RFC3339, strings.TrimSpace(string(raw)))
	if err != nil {
		return fmt.Errorf("%w, and %s does not say when", ErrMoved, filepath.Join(data, movedFile))
	}
	return fmt.Errorf("%w at %s, as %s says", ErrMoved, when.UTC().Format(time.RFC3339), filepath.Join(data, movedFile))
}

func exportStopped(data string, to io.Writer, leave func(*Exported) error) (e Exported, err error) {
	if _, err := os.Stat(filepath.Join(data, "relay.key")); err != nil {
		return e, fmt.Errorf("relay: export: %w", err)
	}
	defer func() {
		if back := giveBack(data); back != nil {
			err = errors.Join(err, fmt.Errorf("relay: export: %w", back))
		}
	}()
	r := &Relay{cfg: Config{Data: data}}
	if err := r.acquire(); err != nil {
		return e, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if isShared(data) {
		return e, ErrShared
	}
	store, err := disk.Open(disk.Config{Dir: filepath.Join(data, "mail")})
	if err != nil {
		return e, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return export(data, store, to, leave)
}

// serveExport lets a program of this computer export a relay that runs.
func (r *Relay) serveExport(w http.ResponseWriter, req *http.Request) {
	r.exports.Add(1)
	defer r.exports.Done()
	store, ok := r.store.(*disk.Store)
	if !ok {
		http.Error(w, ErrShared.Error(), http.StatusNotImplemented)
		return
	}
	if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/x-tar")
	if e, err := export(r.cfg.Data, store, w, nil); err != nil {
		r.log.Warn("an export was not finished", "error", err) // who reads it sees that its end is missing
	} else {
		r.log.Info("the relay was exported", "cells", e.Cells)
	}
}

// ExportRunning is Export of a relay that runs, whose Socket is given. The error wraps
// ErrNotRunning, ErrNotYours, ErrShared, ErrExport or that of writing.
func ExportRunning(ctx context.Context, socket string, to io.Writer) (Exported, error) {
	transport := localTransport(socket)
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://relay/export", nil)
	if err != nil {
		return Exported{}, fmt.Errorf("relay: export: %w", err)
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return Exported{}, unanswered(err)
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusNotImplemented:
		return Exported{}, ErrShared
	default:
		return Exported{}, fmt.Errorf("%w: the relay answers %s", ErrExport, res.Status)
	}
	out := &outgoing{Writer: to}
	e, err := readExport(io.TeeReader(res.Body, out), func(string, int64, io.Reader) error { return nil })
	if out.err != nil { // it is not the export that is wrong
		err = fmt.Errorf("relay: export: %w", out.err)
	}
	return e, err
}

// outgoing remembers why it could not be written.
type outgoing struct {
	io.Writer
	err error
}

func (o *outgoing) Write(b []byte) (int, error) {
	n, err := o.Writer.Write(b)
	o.err = cmp.Or(o.err, err)
	return n, err
}

// readExport reads an export to its end and checks it. take need not read all of a file.
func readExport(from io.Reader, take func(name string, size int64, r io.Reader) error) (e Exported, err error) {
	r, sum := tar.NewReader(incoming{from}), sha256.New()
	seen := map[string]bool{}
	for {
		h, err := r.Next()
		if err != nil {
			return e, fmt.Errorf("%w: %w", ErrExport, err)
		}
		switch {
		case h.Typeflag != tar.TypeReg || seen[h.Name] || h.Size < 0 || sparse(h):
			return e, fmt.Errorf("%w: it holds %q", ErrExport, h.Name)
		case h.Name == endFile:
			raw, err := io.ReadAll(io.LimitReader(r, 1<<10))
			if err != nil {
				return e, fmt.Errorf("%w: %w", ErrExport, err)
			}
			e, want, err := parseEnd(raw)
			if err == nil && !bytes.Equal(want, sum.Sum(nil)) {
				err = fmt.Errorf("%w: it was changed", ErrExport)
			}
			if err == nil && !seen["relay.key"] {
				err = fmt.Errorf("%w: it has no key", ErrExport)
			}
			if err != nil {
				return e, err
			}
			if _, err := r.Next(); err != io.EOF {
				return e, fmt.Errorf("%w: something follows its end", ErrExport)
			}
			_, err = io.Copy(io.Discard, from) // what fills the last block
			return e, err
		case !mail.MatchString(h.Name) && (!small.MatchString(h.Name) || h.Size > maxSmall):
			return e, fmt.Errorf("%w: it holds %q", ErrExport, h.Name)
		}
		seen[h.Name] = true
		sum.Write(newHeading(h.Name, h.Size))
		body := io.TeeReader(r, sum)
		if err := take(h.Name, h.Size, body); err != nil {
			return e, err
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			return e, fmt.Errorf("%w: %w", ErrExport, err)
		}
	}
}

// incoming names what cannot be read of an export for what it is, so that it is told
// apart from what cannot be written.
type incoming struct{ io.Reader }

func (i incoming) Read(b []byte) (int, error) {
	n, err := i.Reader.Read(b)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%w: %w", ErrExport, err)
	}
	return n, err
}

// sparse says whether a file of a tar has holes, which stand for as many zeros as
// somebody likes. None of ours has any.
func sparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// Import makes a relay's directory of an export. The directory must not be there, or be
// empty; it is there afterwards whole or not at all. The error wraps ErrExport,
// ErrThere, ErrKey, ErrNewer or the operating system's, or is the context's.
func Import(ctx context.Context, data string, from io.Reader) (e Exported, err error) {
	return importTo(ctx, data, from, nil)
}

func importTo(ctx context.Context, data string, from io.Reader, fill func(dir string, e Exported, store *disk.Store) error) (e Exported, err error) {
	if entries, err := os.ReadDir(data); len(entries) > 0 {
		return e, ErrThere
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return e, fmt.Errorf("relay: import: %w", err)
	} else if err == nil {
		// A link, as systemd has one for a DynamicUser, goes on leading to the directory.
		if data, err = filepath.EvalSymlinks(data); err != nil {
			return e, fmt.Errorf("relay: import: %w", err)
		}
		// The new one takes its place; where that cannot be, as where a disk is mounted,
		// nobody need wait to hear it.
		if err := os.Remove(data); err != nil {
			return e, fmt.Errorf("relay: import: the directory cannot be replaced, choose one below it: %w", err)
		}
	}
	data, err = filepath.Abs(data)
	if err != nil {
		return e, fmt.Errorf("relay: import: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(data), 0o700); err != nil {
		return e, fmt.Errorf("relay: import: %w", err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(data), ".import-*") // 0700
	if err != nil {
		return e, fmt.Errorf("relay: import: %w", err)
	}
	defer os.RemoveAll(dir)
	for _, below := range []string{"mail/log", "mail/index"} {
		if err := os.MkdirAll(filepath.Join(dir, below), 0o700); err != nil {
			return e, fmt.Errorf("relay: import: %w", err)
		}
	}
	if e, err = readExport(until{ctx, from}, func(name string, _ int64, r io.Reader) error {
		return putFile(filepath.Join(dir, filepath.FromSlash(name)), r)
	}); ctx.Err() != nil {
		return e, ctx.Err()
	} else if err != nil {
		return e, err
	}
	for _, below := range []string{"mail/log", "mail/index", "mail", "."} {
		if err := syncDir(filepath.Join(dir, below)); err != nil {
			return e, fmt.Errorf("relay: import: %w", err)
		}
	}
	if _, err := loadKey(filepath.Join(dir, "relay.key")); err != nil {
		return e, err
	}
	store, err := disk.Open(disk.Config{Dir: filepath.Join(dir, "mail")})
	if errors.Is(err, ErrDamaged) {
		return e, fmt.Errorf("%w: %v", ErrExport, err) // it is not the directory that is
	}
	if err != nil {
		return e, err
	}
	if got := store.Usage().Cells; got != e.Cells {
		err = fmt.Errorf("%w: it holds %d cells, not %d", ErrExport, got, e.Cells)
	}
	if err == nil && fill != nil {
		err = fill(dir, e, store)
	}
	if err = errors.Join(err, store.Close()); err != nil {
		return e, err
	}
	if fill != nil { // what it left is the directory of a relay whose mail is elsewhere
		if err := errors.Join(os.RemoveAll(filepath.Join(dir, "mail")), os.Rename(filepath.Join(dir, indexDir), filepath.Join(dir, "mail")), syncDir(dir)); err != nil {
			return e, fmt.Errorf("relay: import: %w", err)
		}
	}
	if err := os.Rename(dir, data); err != nil {
		return e, fmt.Errorf("relay: import: %w", err)
	}
	return e, syncDir(filepath.Dir(data))
}

// until is a reader that ends with a context.
type until struct {
	ctx context.Context
	io.Reader
}

func (u until) Read(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.Reader.Read(b)
}

// putFile makes a file of what is read. What cannot be read is named by the reader.
func putFile(path string, r io.Reader) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("relay: import: %w", err)
	}
	if _, err = io.Copy(f, r); errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: it is cut short", ErrExport)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
