package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox/disk"
	"github.com/libp2p/go-libp2p/core/peer"
)

// An export is the same whether the relay's mail was in its directory or in a store that relays share, and either can be made of it.

// Own is a store of a relay's own, in its directory.
type Own = disk.Store

// Shared is such a store, as far as mail is moved into it and out of it.
type Shared interface {
	// Import has the store keep all that another keeps. name tells imports apart: one that was cut off is begun again.
	Import(ctx context.Context, c StoreConfig, from *Own, name string) error
	// Export has another, which is empty, keep all that the store keeps, for which receipts were given before the time that it
	// returns. If the relay leaves, its processes end, and none serves the store any more, until undo is called.
	Export(ctx context.Context, c StoreConfig, into *Own, leaves bool) (at time.Time, undo func() error, err error)
}

// indexDir is where the index of a Shared store is while something is moved.
const indexDir = "index"

// ImportShared is Import where the mail goes into a store that relays share. The directory has the relay's key then, and the index.
func ImportShared(ctx context.Context, data string, from io.Reader, shared Shared, c StoreConfig) (Exported, error) {
	return importTo(ctx, data, from, func(dir string, e Exported, store *disk.Store) (err error) {
		c.Dir = filepath.Join(dir, indexDir)
		if c.Relay, err = peerOf(dir); err != nil {
			return err
		}
		return shared.Import(ctx, c, store, e.sum[:16])
	})
}

// ExportShared is Export of a relay whose mail is in a store that relays share, and MoveShared is Move. Other processes of the relay
// may run for the former.
func ExportShared(ctx context.Context, data string, to io.Writer, shared Shared, c StoreConfig) (Exported, error) {
	return exportShared(ctx, data, to, nil, shared, c, nil)
}

// MoveShared is told at ExportShared. No process of the relay runs for it; those that do all the same end.
func MoveShared(ctx context.Context, data string, to io.Writer, keep func() error, shared Shared, c StoreConfig) (e Exported, err error) {
	r := &Relay{cfg: Config{Data: data}}
	if err := r.acquire(); err != nil {
		return e, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	return moving(data, nil, func(leave func(*Exported) error) (Exported, error) {
		return exportShared(ctx, data, to, keep, shared, c, leave)
	})
}

func exportShared(ctx context.Context, data string, to io.Writer, keep func() error, shared Shared, c StoreConfig, leave func(*Exported) error) (e Exported, err error) {
	if c.Relay, err = peerOf(data); err != nil {
		return e, err
	}
	dir, err := os.MkdirTemp(data, "export-*") // 0700
	if err != nil {
		return e, fmt.Errorf("relay: export: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	store, err := disk.Open(disk.Config{Dir: filepath.Join(dir, "mail")})
	if err != nil {
		return e, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	c.Dir = filepath.Join(dir, indexDir)
	at, undo, err := shared.Export(ctx, c, store, leave != nil)
	defer func() {
		if err != nil {
			err = errors.Join(err, undo())
		}
	}()
	if err != nil {
		return e, err
	}
	e, err = export(data, store, to, func(e *Exported) error {
		e.Time = at.Truncate(time.Millisecond)
		if leave == nil {
			return nil
		}
		return leave(e)
	})
	if err == nil && keep != nil {
		err = keep()
	}
	return e, err
}

// peerOf is the PeerID of the relay of a directory.
func peerOf(data string) (string, error) {
	if _, err := os.Stat(filepath.Join(data, "relay.key")); err != nil {
		return "", fmt.Errorf("relay: export: %w", err)
	}
	key, err := loadKey(filepath.Join(data, "relay.key"))
	if err != nil {
		return "", err
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrKey, err)
	}
	return id.String(), nil
}
