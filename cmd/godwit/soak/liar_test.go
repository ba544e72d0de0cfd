//go:build linux

package soak

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/disk"
	"github.com/godwit-im/godwit/p2p/node"
)

// What a relay that lies does. It is told on its standard input, a word a line.
const (
	honest  = "honest"
	forger  = "forger"  // signs receipts wrongly
	denier  = "denier"  // gives receipts, and then has nothing
	undying = "undying" // gives cells again that were deleted
)

var lies = []string{forger, denier, undying}

// liarEnv makes the test binary a relay that lies, with the directory and the port that it
// names. Only the mailbox's server is the program's own: its store and its signer are
// wrapped.
const liarEnv = "SOAK_LIAR"

// lie serves a relay until its standard input ends.
func lie(dir, port string) error {
	key, err := liarKey(filepath.Join(dir, "key"))
	if err != nil {
		return err
	}
	n, err := node.New(node.Config{Mode: node.Loopback, Key: key, Listen: []string{"/ip4/127.0.0.1/tcp/" + port}})
	if err != nil {
		return err
	}
	defer n.Close()
	kept, err := disk.Open(disk.Config{Dir: filepath.Join(dir, "mail")})
	if err != nil {
		return err
	}
	defer kept.Close()
	var does atomic.Value
	does.Store(honest)
	is := func(what string) bool { return does.Load() == what }
	s, err := mailbox.NewServer(n.Host(), liarSigner{key, is}, liarStore{kept, is},
		mailbox.ServerConfig{Leases: []mailbox.LeaseKind{mailbox.LeaseOpen}, IntroWork: 1})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() {
		if err := s.Run(ctx); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "liar:", err)
		}
	})
	running.Go(func() { kept.Run(ctx) })
	ready, err := json.Marshal(map[string]any{"event": "ready", "peer": n.Host().ID().String(), "addrs": []string{n.PeerAddrs()[0].String()}})
	if err != nil {
		return err
	}
	fmt.Println(string(ready))
	words := bufio.NewScanner(os.Stdin)
	for words.Scan() {
		does.Store(words.Text())
	}
	return words.Err()
}

func liarKey(path string) (crypto.PrivKey, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, _, err := crypto.GenerateEd25519Key(rand.Reader)
		if err != nil {
			return nil, err
		}
		if b, err = crypto.MarshalPrivateKey(key); err != nil {
			return nil, err
		}
		return key, os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		return nil, err
	}
	return crypto.UnmarshalPrivateKey(b)
}

type liarSigner struct {
	mailbox.Signer
	is func(string) bool
}

func (l liarSigner) Sign(text []byte) ([]byte, error) {
	b, err := l.Signer.Sign(text)
	if err == nil && l.is(forger) {
		b[0] ^= 1
	}
	return b, err
}

type liarStore struct {
	mailbox.Store
	is func(string) bool
}

func (l liarStore) List(box mailbox.BoxPublic, after uint64, limit int, now time.Time) ([]mailbox.Entry, bool, error) {
	if l.is(denier) {
		return nil, false, nil
	}
	return l.Store.List(box, after, limit, now)
}

func (l liarStore) Commit(now time.Time, changes []mailbox.Change) error {
	if !l.is(undying) {
		return l.Store.Commit(now, changes)
	}
	var rest []mailbox.Change
	for _, c := range changes {
		if d, ok := c.(*mailbox.Delete); ok {
			d.Deleted = len(d.Cells)
		} else {
			rest = append(rest, c)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	return l.Store.Commit(now, rest)
}
