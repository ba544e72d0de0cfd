package jetstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

var (
	// ErrOther says that a stream has the mail of a relay of another identity.
	ErrOther = errors.New("jetstream: the stream has the mail of another relay")
	// ErrHalf says that an import into a stream was cut off.
	ErrHalf = errors.New("jetstream: an import into the stream was cut off; begin it again")
	// ErrLeft says that a relay was moved out of a stream, and goes on elsewhere.
	ErrLeft = errors.New("jetstream: the relay was moved out of the stream")
	// ErrThere says that nothing is imported into a stream that was there already.
	ErrThere = errors.New("jetstream: the stream is there already")
)

// What a stream's metadata say of the mail in it.
const (
	metaRelay  = "godwit-relay"  // PeerID of the relay whose it is
	metaImport = "godwit-import" // what was imported into it, and how far that is
	metaMoved  = "godwit-moved"  // when the relay was moved out of it, in RFC 3339
	begun      = " begun"
	done       = " done"
)

// purpose is what a Store is opened for: to serve, or
type purpose struct {
	imports string // to import what has this name
	first   uint64 // place of the stream, if it is to be made
	copies  bool   // to be read alone
}

// metadata are those of a stream that is made.
func (s *Store) metadata() map[string]string {
	m := make(map[string]string)
	if s.cfg.Relay != "" {
		m[metaRelay] = s.cfg.Relay
	}
	if s.purpose.imports != "" {
		m[metaImport] = s.purpose.imports + begun
	}
	return m
}

// mayUse says whether the Store may do with the stream what it is for.
func (s *Store) mayUse(ctx context.Context) error {
	config := s.asked().stream.CachedInfo().Config
	m := config.Metadata
	if m[metaRelay] == "" && s.cfg.Relay != "" && s.purpose.imports == "" {
		if err := s.mark(ctx, metaRelay, s.cfg.Relay); err != nil {
			return err
		}
		m = s.asked().stream.CachedInfo().Config.Metadata
	}
	imported := m[metaImport]
	switch {
	case s.cfg.Relay != "" && m[metaRelay] != s.cfg.Relay:
		return fmt.Errorf("%w: %s", ErrOther, m[metaRelay])
	case s.purpose.imports != "":
		if imported == "" || strings.HasSuffix(imported, done) && imported != s.purpose.imports+done || m[metaMoved] != "" {
			return ErrThere
		}
		if imported != s.purpose.imports+done {
			return s.mark(ctx, metaImport, s.purpose.imports+begun)
		}
	case strings.HasSuffix(imported, begun):
		return ErrHalf
	case m[metaMoved] != "" && !s.purpose.copies:
		return left(m)
	}
	return nil
}

func left(metadata map[string]string) error {
	return fmt.Errorf("%w at %s", ErrLeft, metadata[metaMoved])
}

// mark says something about the mail in the stream, for good; an empty value unsays it.
func (s *Store) mark(ctx context.Context, key, value string) error {
	l := s.asked()
	info, err := l.stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("jetstream: %w", err)
	}
	config := info.Config
	config.Metadata = maps.Clone(config.Metadata)
	if config.Metadata == nil {
		config.Metadata = make(map[string]string)
	}
	// Those of the servers are theirs to tell.
	maps.DeleteFunc(config.Metadata, func(k, _ string) bool { return strings.HasPrefix(k, "_nats.") })
	if config.Metadata[key] = value; value == "" {
		delete(config.Metadata, key)
	}
	if l.stream, err = l.js.UpdateStream(ctx, config); err != nil {
		return fmt.Errorf("jetstream: %w", err)
	}
	s.use(l)
	return nil
}

// leave marks the stream as one that the relay was moved out of, and returns once no relay process takes anything more.
func (s *Store) leave(ctx context.Context) error {
	if err := s.mark(ctx, metaMoved, time.Now().UTC().Format(time.RFC3339)); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(2 * lookEvery): // who still runs has seen it
		return nil
	}
}

// stillOurs has the Store end when the relay was moved out of the stream.
func (s *Store) stillOurs(info *jetstream.StreamInfo) {
	if m := info.Config.Metadata; m[metaMoved] != "" && !s.purpose.copies {
		s.fail(left(m))
	}
}
