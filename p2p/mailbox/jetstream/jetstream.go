// Package jetstream is a mailbox.Store for a relay that has outgrown one machine: several
// relay processes serve one identity out of one stream of NATS JetStream, which three
// servers hold. README.md tells an operator when and how.
//
// The stream is a log of decisions, of which every process keeps an index (disk.View).
// To commit, a process decides by its index and appends what it decided in one atomic
// batch, on the condition that nothing was appended since: so no two processes ever
// decide on different states, and quotas, leases and owners hold across all of them. Who
// comes second reads on, decides again and tries again. A commit is answered when the
// stream's servers have it, most of them synced to disk (sync_interval: always, which is
// theirs to be set).
//
// Each thing (box, queue, notice, bundle of cells that came together) has a subject of its own,
// of which the stream keeps the last message alone. A deletion is a message too, which frees
// the room at once and goes itself after some days.
package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/disk"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// DefaultStream and DefaultReplicas are those of a Config that names none.
	DefaultStream   = "godwit-mail"
	DefaultReplicas = 3
	// goneFor is how long a deletion is told to those who knew what was deleted.
	goneFor = 72 * time.Hour
	// oldIndex is how old an index may be that is read on with; an older one, which may have
	// missed deletions, is made anew.
	oldIndex = 24 * time.Hour
	// patience is how long a commit may take that servers come and go: an election among
	// them takes some seconds. Then who asked is to try later, and whoever comes next, until they take something again.
	patience = 15 * time.Second
	// attempt bounds one try to append, and asking each other question to the servers: who
	// leads them may die with it.
	attempt = 5 * time.Second
	asking  = 2 * time.Second
	// settleTime is how long others' messages are waited for before the servers are asked for them.
	settleTime = 100 * time.Millisecond
	// lookEvery is how often the servers are asked how much room is taken.
	lookEvery = 2 * time.Second
	// stalled is how long nothing may come though there is more.
	stalled = time.Second
	// late is how long a commit may wait, or the servers be silent, before the relay is said to take no mail.
	late = 10 * time.Second
	// applyMost bounds the messages that are taken in at once.
	applyMost = 512
)

// Config says which stream. The zero values stand for what the comments say.
type Config struct {
	Servers  string         // URLs as nats://a:4222,nats://b:4222; needed
	Creds    string         // file of credentials; none
	Stream   string         // DefaultStream; made if it is not there
	Replicas int            // DefaultReplicas
	Relay    string         // PeerID of the relay whose mail it is; whosever it is
	Dir      string         // of the index, of this process alone; needed
	MaxBytes uint64         // cap on what the stream takes of each server's disk; disk.DefaultMaxBytes
	Quotas   mailbox.Quotas // mailbox.DefaultQuotas
	Log      *slog.Logger   // nothing is logged
}

// Store is a mailbox.Store in a stream.
type Store struct {
	cfg     Config
	purpose purpose
	log     *slog.Logger
	view    *disk.View

	running  context.Context // until Close
	stop     context.CancelFunc
	serving  context.Context // until some time after Run
	giveUp   context.CancelFunc
	ends     sync.WaitGroup
	reading  sync.Mutex // guards what follows
	consumed jetstream.ConsumeContext
	made     time.Time // when that was
	came     chan jetstream.Msg
	moved    chan struct{} // something was applied

	commit sync.Mutex // held while the view is planned with or added to, and when the link changes

	mu      sync.Mutex // guards what follows
	link               // see asked
	broken  error
	used    uint64    // bytes of the stream, as last seen, and added since
	seen    time.Time // when that was
	since   time.Time // when the commit under way began; zero: there is none
	silent  time.Time // when the servers last left a commit without an answer; zero: they have been seen to take something since
	foreign uint64    // messages passed over that no relay made
	turns   turns
	heard   time.Time // when something came last
	tells   func(mailbox.BoxPublic)
	linked  context.Context // until the connection that there is is lost
	unlink  context.CancelFunc
}

// Open opens the Store in a stream, or makes one, and reads what it does not know of it yet.
// Its errors wrap ErrOther, ErrHalf, ErrLeft, disk.ErrNewer, mailbox.ErrDamaged or NATS's.
func Open(ctx context.Context, cfg Config) (*Store, error) { return openFor(ctx, cfg, purpose{}) }

func openFor(ctx context.Context, cfg Config, p purpose) (_ *Store, err error) {
	if cfg.Stream == "" {
		cfg.Stream = DefaultStream
	}
	if cfg.Replicas == 0 {
		cfg.Replicas = DefaultReplicas
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = disk.DefaultMaxBytes
	}
	if cfg.Quotas == (mailbox.Quotas{}) {
		cfg.Quotas = mailbox.DefaultQuotas()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{cfg: cfg, purpose: p, turns: newTurns(), log: cfg.Log, came: make(chan jetstream.Msg, 2*applyMost), moved: make(chan struct{}, 1)}
	s.running, s.stop = context.WithCancel(context.Background())
	s.serving, s.giveUp = context.WithCancel(s.running)
	s.linked, s.unlink = context.WithCancel(s.running)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	info, err := s.info(ctx)
	if err != nil {
		return nil, fmt.Errorf("jetstream: %w", err)
	}
	if err := s.openView(info); err != nil {
		return nil, err
	}
	if err := s.consume(ctx); err != nil {
		return nil, err
	}
	s.ends.Go(func() { s.follow(s.running) })
	s.ends.Go(func() { s.look(s.running) })
	for {
		if end, _ := s.view.End(); end >= info.State.LastSeq {
			break
		}
		if err := s.settle(ctx); err != nil {
			return nil, err
		}
	}
	if p == (purpose{}) {
		s.ends.Go(func() { s.rewrite(s.running) })
	}
	return s, nil
}

// fail remembers that the Store is of no more use.
func (s *Store) fail(err error) error {
	if !errors.Is(err, mailbox.ErrDamaged) {
		err = fmt.Errorf("%w: %w", mailbox.ErrDamaged, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.broken = err
	}
	return s.broken
}

// failed is what fail was told.
func (s *Store) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// Run returns nil when the context ends, and an error that wraps mailbox.ErrDamaged once the
// Store is of no more use. A Commit that is under way at its end, or comes later, has some seconds left.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.ends.Go(func() {
				select {
				case <-s.running.Done():
				case <-time.After(attempt):
					s.giveUp()
				}
			})
			return nil
		case <-tick.C:
		}
		if err := s.failed(); err != nil {
			return err
		}
	}
}

// Close ends all that Open began. The stream stays.
func (s *Store) Close() (err error) {
	s.stop()
	s.ends.Wait()
	s.reading.Lock()
	if s.consumed != nil {
		s.consumed.Stop()
	}
	s.reading.Unlock()
	if s.nc != nil {
		s.nc.Close()
	}
	s.fail(errors.New("the store is closed"))
	s.commit.Lock()
	defer s.commit.Unlock()
	if v := s.view; v != nil {
		s.view = nil
		err = v.Close()
	}
	return err
}

var _ mailbox.SharedStore = (*Store)(nil)
