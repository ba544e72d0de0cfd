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
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/disk"
	"github.com/nats-io/nats.go"
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
	// them takes some seconds. Then nothing can be said about it.
	patience = time.Minute
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

// headHeader has a disk.Entry's Head, in base64.
const headHeader = "Godwit"

// Config says which stream. The zero values stand for what the comments say.
type Config struct {
	Servers  string         // URLs as nats://a:4222,nats://b:4222; needed
	Creds    string         // file of credentials; none
	Stream   string         // DefaultStream; made if it is not there
	Replicas int            // DefaultReplicas
	Dir      string         // of the index, of this process alone; needed
	MaxBytes uint64         // cap on what the stream takes of each server's disk; disk.DefaultMaxBytes
	Quotas   mailbox.Quotas // mailbox.DefaultQuotas
	Log      *slog.Logger   // nothing is logged
}

// ParseURL reads where a Store is: nats:// or tls://, then HOST:PORT of each server with
// commas between, then perhaps ?creds=FILE, ?stream=NAME and ?replicas=N with & between.
// The rest of the Config is left to the caller.
func ParseURL(text string) (cfg Config, err error) {
	bad := func(what string) (Config, error) { // the text may have a password in it
		return Config{}, errors.New("jetstream: where the servers are: " + what)
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || scheme != "nats" && scheme != "tls" {
		return bad("it is not nats://HOST:PORT,HOST:PORT or tls://")
	}
	hosts, query, _ := strings.Cut(rest, "?")
	var urls []string
	for host := range strings.SplitSeq(hosts, ",") {
		if host == "" {
			return bad("a server without a name")
		}
		urls = append(urls, scheme+"://"+host)
	}
	cfg.Servers = strings.Join(urls, ",")
	values, err := url.ParseQuery(query)
	if err != nil {
		return bad(err.Error())
	}
	for k, v := range values {
		switch {
		case k == "creds" && len(v) == 1:
			cfg.Creds = v[0]
		case k == "stream" && len(v) == 1 && v[0] != "" && !strings.ContainsAny(v[0], ".*> \t\r\n/\\"):
			cfg.Stream = v[0]
		case k == "replicas" && len(v) == 1 && (v[0] == "1" || v[0] == "3" || v[0] == "5"):
			cfg.Replicas = int(v[0][0] - '0')
		default:
			return bad("creds, stream and replicas (1, 3 or 5) can be given, once each; not " + k)
		}
	}
	return cfg, nil
}

// Store is a mailbox.Store in a stream.
type Store struct {
	cfg    Config
	log    *slog.Logger
	nc     *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream
	view   *disk.View

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

	commit sync.Mutex // held while the view is planned with or added to

	mu     sync.Mutex // guards what follows
	broken error
	used   uint64    // bytes of the stream, as last seen, and added since
	seen   time.Time // when that was
	since  time.Time // when the commit under way began; zero: there is none
	heard  time.Time // when something came last
	tells  func(mailbox.BoxPublic)
	linked context.Context // until the connection that there is is lost
	unlink context.CancelFunc
}

// Open opens the Store in a stream, or makes one, and reads what it does not know of it yet.
// Its errors wrap disk.ErrNewer, mailbox.ErrDamaged or NATS's.
func Open(ctx context.Context, cfg Config) (_ *Store, err error) {
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
	s := &Store{cfg: cfg, log: cfg.Log, came: make(chan jetstream.Msg, 2*applyMost), moved: make(chan struct{}, 1)}
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
			return s, nil
		}
		if err := s.settle(ctx); err != nil {
			return nil, err
		}
	}
}

func (s *Store) connect(ctx context.Context) (err error) {
	options := []nats.Option{
		nats.Name("godwit relay"), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond), nats.Timeout(attempt), nats.NoEcho(),
		nats.NoCallbacksAfterClientClose(), nats.WriteBufferSize(1 << 20),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			s.lost()
			s.log.Warn("the store's servers are out of reach", "error", err)
		}),
		nats.ReconnectHandler(func(*nats.Conn) { s.log.Info("the store's servers are reached again") }),
	}
	if s.cfg.Creds != "" {
		options = append(options, nats.UserCredentials(s.cfg.Creds))
	}
	if s.nc, err = nats.Connect(s.cfg.Servers, options...); err != nil {
		return fmt.Errorf("jetstream: connect: %w", err)
	}
	if err := s.find(ctx); err != nil {
		return err
	}
	if err := s.approach(ctx, options); err != nil {
		return err
	}
	want := StreamConfig(s.cfg.Stream, s.cfg.Replicas)
	// One made otherwise would lose what it must not.
	if is := s.stream.CachedInfo().Config; is.Storage != want.Storage || is.Replicas != want.Replicas || is.MaxMsgsPerSubject != 1 || is.Discard != want.Discard ||
		is.MaxAge != 0 || is.MaxMsgs > 0 || is.MaxBytes > 0 || is.Retention != want.Retention || !is.AllowAtomicPublish || !is.AllowMsgTTL {
		return fmt.Errorf("jetstream: stream %s is set up otherwise than a relay needs it, which has %d replicas", want.Name, want.Replicas)
	}
	return nil
}

// find finds the stream over the connection, or makes it.
func (s *Store) find(ctx context.Context) (err error) {
	if s.js, err = jetstream.New(s.nc, jetstream.WithDefaultTimeout(attempt)); err != nil {
		return fmt.Errorf("jetstream: %w", err)
	}
	want := StreamConfig(s.cfg.Stream, s.cfg.Replicas)
	s.stream, err = s.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s.stream, err = s.js.CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			s.stream, err = s.js.Stream(ctx, want.Name) // another process was faster
		}
	}
	if err != nil {
		return fmt.Errorf("jetstream: stream %s: %w", want.Name, err)
	}
	return nil
}

// approach replaces the connection by one with the server that leads the stream, if that can be
// reached: what goes by way of another is copied and crosses the network once more.
func (s *Store) approach(ctx context.Context, options []nats.Option) error {
	cluster := s.stream.CachedInfo().Cluster
	if cluster == nil || cluster.Leader == "" {
		return nil
	}
	servers := strings.Split(s.cfg.Servers, ",")
	options = append(options, nats.DontRandomize())
	for i := range servers {
		if s.nc.ConnectedServerName() == cluster.Leader {
			return nil
		}
		nc, err := nats.Connect(strings.Join(append(slices.Clone(servers[i:]), servers[:i]...), ","), options...)
		if err != nil {
			return fmt.Errorf("jetstream: connect: %w", err)
		}
		if nc.ConnectedServerName() != cluster.Leader {
			nc.Close()
			continue
		}
		s.nc.Close()
		s.nc = nc
		return s.find(ctx)
	}
	return nil
}

// lost has nobody wait any more for answers over a connection that is gone.
func (s *Store) lost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlink()
	s.linked, s.unlink = context.WithCancel(s.running)
}

// once bounds one question to the servers, whose answer is waited for no longer than the
// connection lasts over which it would come.
func (s *Store) once(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	s.mu.Lock()
	linked := s.linked
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, most)
	stop := context.AfterFunc(linked, cancel)
	return ctx, func() { stop(); cancel() }
}

// info asks how the stream is, and notes what room it takes, and that it takes mail if it does.
func (s *Store) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	ctx, cancel := s.once(ctx, asking)
	defer cancel()
	info, err := s.stream.Info(ctx)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.used = info.State.Bytes
		if takes(info.Cluster) {
			s.seen = time.Now()
		}
	}
	return info, err
}

// takes says whether enough servers are together to append. One that is left alone goes on answering
// questions: first as the leader that it was, then as one that has none.
func takes(c *jetstream.ClusterInfo) bool {
	if c == nil || len(c.Replicas) == 0 { // there is one server
		return true
	}
	together := 1
	for _, r := range c.Replicas {
		if !r.Offline && r.Active < attempt { // the leader hears of each every second
			together++
		}
	}
	return c.Leader != "" && 2*together > 1+len(c.Replicas)
}

// StreamConfig is how a Store's stream is set up.
func StreamConfig(name string, replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: name, Description: "a Godwit relay's mail", Subjects: []string{name + ".>"}, Storage: jetstream.FileStorage, Replicas: replicas,
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew, MaxMsgsPerSubject: 1, AllowDirect: true, AllowMsgTTL: true, AllowAtomicPublish: true,
		DenyPurge: true, DenyDelete: true,
	}
}

// openView opens the index, which is of this stream and not too old, or makes it anew.
func (s *Store) openView(info *jetstream.StreamInfo) (err error) {
	dir, mark := filepath.Join(s.cfg.Dir, "view"), filepath.Join(s.cfg.Dir, "stream")
	name := fmt.Sprint(disk.EntryVersion, " ") + s.cfg.Stream + " " + info.Created.UTC().Format(time.RFC3339Nano) + "\n"
	was, err := os.ReadFile(mark)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("jetstream: %w", err)
	}
	anew := string(was) != name
	if !anew {
		if s.view, err = disk.OpenView(dir, s.cfg.Quotas, s.log); err != nil && !errors.Is(err, mailbox.ErrDamaged) {
			return err
		}
		if anew = err != nil; !anew {
			end, made := s.view.End()
			if anew = end > info.State.LastSeq || time.Since(made) > oldIndex; anew {
				if err := s.view.Close(); err != nil {
					return err
				}
				s.view = nil
			}
		}
	}
	if !anew {
		return nil
	}
	s.log.Info("the index is made anew from the stream", "messages", info.State.Msgs)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(s.cfg.Dir, 0o700)); err != nil {
		return fmt.Errorf("jetstream: %w", err)
	}
	if s.view, err = disk.OpenView(dir, s.cfg.Quotas, s.log); err != nil {
		return err
	}
	if err := os.WriteFile(mark, []byte(name), 0o600); err != nil {
		return fmt.Errorf("jetstream: %w", err)
	}
	return nil
}

// consume lets what the index does not know come, without the cells.
func (s *Store) consume(ctx context.Context) error {
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.consumed != nil {
		s.consumed.Stop()
	}
	s.made = time.Now()
	end, _ := s.view.End()
	c, err := s.js.OrderedConsumer(ctx, s.cfg.Stream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: end + 1, HeadersOnly: true, MaxResetAttempts: -1,
	})
	if err == nil {
		s.consumed, err = c.Consume(func(m jetstream.Msg) {
			select {
			case s.came <- m:
			case <-s.running.Done():
			}
		})
	}
	if err != nil {
		return fmt.Errorf("jetstream: read the stream: %w", err)
	}
	return nil
}

// resume consumes anew if nothing has come for some time though there is more: whoever sent
// it is gone with a server, which takes a client long to see.
func (s *Store) resume(ctx context.Context) {
	s.mu.Lock()
	quiet := time.Since(s.heard)
	s.mu.Unlock()
	s.reading.Lock()
	young := time.Since(s.made) < stalled
	s.reading.Unlock()
	if quiet < stalled || young {
		return
	}
	ctx, cancel := s.once(ctx, attempt)
	defer cancel()
	if err := s.consume(ctx); err != nil {
		s.log.Debug("an election, perhaps", "error", err) // it is tried again
	}
}

// follow takes in what others appended, as it comes.
func (s *Store) follow(ctx context.Context) {
	for {
		var all []jetstream.Msg
		select {
		case <-ctx.Done():
			return
		case m := <-s.came:
			all = append(all, m)
		}
		for more := true; more && len(all) < applyMost; {
			select {
			case m := <-s.came:
				all = append(all, m)
			default:
				more = false
			}
		}
		if err := s.take(all); err != nil {
			s.log.Error("the stream cannot be read", "error", err)
		}
		s.mu.Lock()
		s.heard = time.Now()
		s.mu.Unlock()
		select {
		case s.moved <- struct{}{}:
		default:
		}
	}
}

// take is follow for some messages.
func (s *Store) take(all []jetstream.Msg) error {
	if s.failed() != nil {
		return nil
	}
	entries := make([]disk.Applied, 0, len(all))
	for _, m := range all {
		meta, err := m.Metadata()
		if err != nil {
			return s.fail(err)
		}
		e, err := entryOf(meta.Sequence.Stream, m.Headers())
		if err != nil {
			return s.fail(err)
		}
		entries = append(entries, e)
	}
	return s.learn(entries)
}

// learn has the view know what others appended, and those who watch.
func (s *Store) learn(entries []disk.Applied) error {
	news, err := s.apply(entries)
	if err != nil {
		return s.fail(err)
	}
	s.mu.Lock()
	tell := s.tells
	s.mu.Unlock()
	if tell != nil {
		for box := range news {
			tell(box)
		}
	}
	return nil
}

func (s *Store) apply(entries []disk.Applied) (map[mailbox.BoxPublic]struct{}, error) {
	s.commit.Lock()
	defer s.commit.Unlock()
	var added uint64
	known, _ := s.view.End()
	for _, e := range entries {
		if e.Place > known {
			added += uint64(e.Size)
		}
	}
	s.add(added)
	return s.view.Apply(entries)
}

func entryOf(place uint64, h nats.Header) (e disk.Applied, err error) {
	if e.Head, err = base64.RawStdEncoding.DecodeString(h.Get(headHeader)); err != nil {
		return e, err
	}
	if size := h.Get(nats.MsgSize); size != "" {
		if e.Size, err = strconv.Atoi(size); err != nil {
			return e, err
		}
	}
	e.Place = place
	return e, nil
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

// settle waits until something was taken in, takes in what comes next by itself, or knows
// that there is nothing.
func (s *Store) settle(ctx context.Context) error {
	select {
	case <-s.moved:
		return s.failed()
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(settleTime):
	}
	// Whoever would have sent it may be gone with a server, or wait for another election.
	info, err := s.info(ctx)
	if err != nil {
		return nil // an election, perhaps; it is tried again
	}
	end, _ := s.view.End()
	if end >= info.State.LastSeq {
		return nil
	}
	m, err := s.leaderGet(ctx, map[string]any{"seq": end + 1, "next_by_subj": s.cfg.Stream + ".>"})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		// The end of the stream is messages that are gone already.
		s.commit.Lock()
		defer s.commit.Unlock()
		if err := s.view.Skip(info.State.LastSeq); err != nil {
			return s.fail(err)
		}
		return nil
	}
	if err != nil {
		return nil
	}
	e, err := entryOf(m.Sequence, m.Header)
	if err != nil {
		return s.fail(err)
	}
	e.Size = len(m.Data)
	return s.learn([]disk.Applied{e})
}

// look asks how much room is taken, and whether there is more than comes.
func (s *Store) look(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if info, err := s.info(ctx); err == nil {
			if end, _ := s.view.End(); end < info.State.LastSeq {
				s.resume(ctx)
			}
		}
	}
}

func (s *Store) add(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used += n
}

// Room is how many bytes deposits may still add, and, in words, what bounds it.
func (s *Store) Room() (bytes int64, bound string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.seen) > late || !s.since.IsZero() && time.Since(s.since) > late {
		return 0, "the store's servers do not answer"
	}
	return s.room(), "the relay holds as much as it may"
}

// room is how many bytes the cap leaves. The lock of used is held.
func (s *Store) room() int64 {
	// What surrounds a cell is less than an eighth of it.
	return max(int64(s.cfg.MaxBytes)-int64(s.used), 0) / 9 * 8
}

// Commit is mailbox.Store's.
func (s *Store) Commit(now time.Time, changes []mailbox.Change) error {
	ctx, cancel := context.WithTimeoutCause(s.serving, patience, errors.New("the store's servers did not answer in time"))
	defer cancel()
	s.began(time.Now())
	defer s.began(time.Time{})
	for len(changes) > 0 {
		n, err := s.part(ctx, now, changes)
		if err != nil {
			return s.fail(err)
		}
		changes = changes[n:]
	}
	return nil
}

func (s *Store) began(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = t
}

// errBehind says that others appended first, or that a try of this process did, of which no
// answer came. To decide again is right for both: what is kept already is kept once.
var errBehind = errors.New("jetstream: the stream has moved on")

// part commits some of the first changes and tells how many.
func (s *Store) part(ctx context.Context, now time.Time, changes []mailbox.Change) (int, error) {
	for {
		n, err := s.try(ctx, now, changes)
		if !errors.Is(err, errBehind) {
			return n, err
		}
		if err := s.settle(ctx); err != nil {
			return 0, err
		}
	}
}

// try decides and appends, until there is an answer. Its error is errBehind, or the end.
func (s *Store) try(ctx context.Context, now time.Time, changes []mailbox.Change) (int, error) {
	s.commit.Lock()
	defer s.commit.Unlock()
	s.mu.Lock()
	room, broken := s.room(), s.broken
	s.mu.Unlock()
	if broken != nil {
		return 0, broken
	}
	p, err := s.view.Plan(now, changes, room)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	if len(p.Entries) == 0 {
		return p.Changes, nil
	}
	for unsure := false; ; unsure = true {
		err := s.append(ctx, p.Entries)
		var api *jetstream.APIError
		switch {
		case err == nil:
			return p.Changes, p.Done()
		case errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == errCodeWrongLast):
			return 0, errBehind
		case errors.As(err, &api) && (api.ErrorCode == errCodeResources || api.ErrorCode == errCodeStorage) && !unsure:
			s.log.Warn("the store's servers have no room", "error", err)
			for _, c := range changes[:p.Changes] {
				if o := mailbox.OutcomeOf(c); o.Err == nil {
					o.Err = mailbox.ErrFull
				}
			}
			return p.Changes, nil
		}
		s.log.Debug("a commit was not answered", "error", err)
		select {
		case <-ctx.Done():
			return 0, errors.Join(context.Cause(ctx), err)
		case <-time.After(settleTime):
		}
	}
}

// The servers' codes for a stream that is further, and for no more storage.
const (
	errCodeWrongLast jetstream.ErrorCode = 10164
	errCodeResources jetstream.ErrorCode = 10023
	errCodeStorage   jetstream.ErrorCode = 10047
)

// append has the stream take in entries after all that the view knows, or none of them.
func (s *Store) append(ctx context.Context, entries []disk.Entry) error {
	end, _ := s.view.End()
	batch := rand.Text()
	var size uint64
	for i, e := range entries {
		m := nats.NewMsg(s.subject(e.Key))
		m.Data = e.Blob
		m.Header.Set(headHeader, base64.RawStdEncoding.EncodeToString(e.Head))
		switch {
		case e.Gone:
			m.Header.Set(jetstream.MsgTTLHeader, goneFor.String())
		case !e.Ends.IsZero():
			m.Header.Set(jetstream.MsgTTLHeader, max(time.Until(e.Ends), goneFor).Round(time.Second).String())
		}
		if i == 0 {
			m.Header.Set(jetstream.ExpectedLastSeqHeader, strconv.FormatUint(end, 10))
		}
		if len(entries) > 1 {
			m.Header.Set("Nats-Batch-Id", batch)
			m.Header.Set("Nats-Batch-Sequence", strconv.Itoa(i+1))
		}
		size += uint64(len(e.Blob))
		if i < len(entries)-1 {
			if err := s.nc.PublishMsg(m); err != nil {
				return err
			}
			continue
		}
		if len(entries) > 1 {
			m.Header.Set("Nats-Batch-Commit", "1")
		}
		ctx, cancel := s.once(ctx, attempt)
		defer cancel()
		answer, err := s.nc.RequestMsgWithContext(ctx, m)
		if err != nil {
			return err
		}
		var ack struct {
			Error *jetstream.APIError `json:"error"`
			Seq   uint64              `json:"seq"`
		}
		if err := json.Unmarshal(answer.Data, &ack); err != nil {
			return err
		}
		if ack.Error != nil {
			return ack.Error
		}
		if ack.Seq != end+uint64(len(entries)) {
			return s.fail(fmt.Errorf("the stream took %d messages after %d and ends at %d", len(entries), end, ack.Seq))
		}
	}
	s.add(size)
	return nil
}

// subject is where the messages about a thing go.
func (s *Store) subject(key []byte) string {
	return s.cfg.Stream + "." + string(key[:1]) + "." + base64.RawURLEncoding.EncodeToString(key[1:])
}

// Cell is mailbox.Store's.
func (s *Store) Cell(b mailbox.BoxPublic, id mailbox.CellID, now time.Time) ([]byte, error) {
	return s.blob(func() (disk.Spot, error) { return s.view.Cell(b, id, now) }, func(cell []byte) bool { return mailbox.IDOf(cell) == id })
}

// Notice is mailbox.Store's.
func (s *Store) Notice(id mailbox.NoticeID, now time.Time) ([]byte, error) {
	return s.blob(func() (disk.Spot, error) { return s.view.Notice(id, now) }, func(notice []byte) bool { return len(notice) == mailbox.NoticeSize })
}

// blob reads what find finds: of any server first, which may be a little behind, then of the
// one that leads. Meanwhile it may be deleted.
func (s *Store) blob(find func() (disk.Spot, error), good func([]byte) bool) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*attempt)
	defer cancel()
	var problem error
	for i := range 5 {
		at, err := find()
		if err != nil {
			return nil, err
		}
		var m *jetstream.RawStreamMsg
		if i == 0 {
			m, problem = s.get(ctx, at.Place)
		} else {
			m, problem = s.leaderGet(ctx, map[string]any{"seq": at.Place})
		}
		if problem == nil && len(m.Data) >= at.From+at.Size {
			if blob := m.Data[at.From:][:at.Size]; good(blob) {
				return blob, nil
			}
		}
		if problem == nil {
			problem = fmt.Errorf("%w: the bytes are not those that were written", mailbox.ErrDamaged)
			continue
		}
		select {
		case <-ctx.Done():
			return nil, mailbox.ErrTryLater
		case <-time.After(time.Duration(i) * settleTime):
		}
	}
	if errors.Is(problem, mailbox.ErrDamaged) {
		return nil, problem
	}
	s.log.Warn("a cell could not be read", "error", problem)
	return nil, mailbox.ErrTryLater
}

// get asks any server for a message.
func (s *Store) get(ctx context.Context, place uint64) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := s.once(ctx, asking)
	defer cancel()
	return s.stream.GetMsg(ctx, place)
}

// leaderGet asks the server that leads for a message. The error is jetstream.ErrMsgNotFound
// if there is none.
func (s *Store) leaderGet(ctx context.Context, what map[string]any) (*jetstream.RawStreamMsg, error) {
	ask, err := json.Marshal(what)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.once(ctx, asking)
	defer cancel()
	m, err := s.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+s.cfg.Stream, ask)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Seq    uint64 `json:"seq"`
			Header []byte `json:"hdrs"`
			Data   []byte `json:"data"`
		} `json:"message"`
	}
	switch err := json.Unmarshal(m.Data, &answer); {
	case err != nil:
		return nil, err
	case answer.Error != nil && answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return nil, jetstream.ErrMsgNotFound
	case answer.Error != nil:
		return nil, answer.Error
	case answer.Message == nil:
		return nil, errors.New("jetstream: an answer without a message")
	}
	header, err := nats.DecodeHeadersMsg(answer.Message.Header)
	if err != nil {
		return nil, err
	}
	return &jetstream.RawStreamMsg{Sequence: answer.Message.Seq, Header: header, Data: answer.Message.Data}, nil
}

// Writable is mailbox.Store's.
func (s *Store) Writable(q mailbox.QID, now time.Time) error { return s.view.Writable(q, now) }

// Intro is mailbox.Store's.
func (s *Store) Intro(q mailbox.QID, now time.Time) (pending int, weakest uint8, err error) {
	return s.view.Intro(q, now)
}

// Box is mailbox.Store's.
func (s *Store) Box(b mailbox.BoxPublic) (mailbox.BoxInfo, error) { return s.view.Box(b) }

// List is mailbox.Store's.
func (s *Store) List(b mailbox.BoxPublic, after uint64, limit int, now time.Time) ([]mailbox.Entry, bool, error) {
	return s.view.List(b, after, limit, now)
}

// Latest is mailbox.Store's.
func (s *Store) Latest() time.Time { return s.view.Latest() }

// Usage is mailbox.Store's. Disk is what the stream takes of each server's.
func (s *Store) Usage() mailbox.Usage {
	u := s.view.Usage()
	s.mu.Lock()
	defer s.mu.Unlock()
	u.Disk = s.used
	return u
}

// Others has f called with each box into which cells came by way of another process.
func (s *Store) Others(f func(mailbox.BoxPublic)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tells = f
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
