package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// connect connects to the servers, at best to the one that leads the stream, and sees that the stream is as it must be.
func (s *Store) connect(ctx context.Context) error {
	l, err := s.dial(0)
	if err != nil {
		return err
	}
	s.use(l)
	want := StreamConfig(s.cfg.Stream, s.cfg.Replicas)
	want.FirstSeq, want.Metadata = s.purpose.first, s.metadata()
	l.stream, err = l.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) && !s.purpose.copies {
		l.stream, err = l.js.CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			l.stream, err = l.js.Stream(ctx, want.Name) // another process was faster
		}
	}
	if err != nil {
		return fmt.Errorf("jetstream: stream %s: %w", want.Name, err)
	}
	s.use(l)
	if leader := leaderOf(l.stream.CachedInfo()); leader != "" {
		if l, err = s.dialTo(ctx, leader); err != nil {
			return err
		} else if l.nc != nil {
			s.nc.Close()
			s.use(l)
		}
	}
	// One made otherwise would lose what it must not.
	if is := s.stream.CachedInfo().Config; is.Storage != want.Storage || is.Replicas != want.Replicas || is.MaxMsgsPerSubject != 1 || is.Discard != want.Discard ||
		is.MaxAge != 0 || is.MaxMsgs > 0 || is.MaxBytes > 0 || is.Retention != want.Retention || !is.AllowAtomicPublish || !is.AllowMsgTTL {
		return fmt.Errorf("jetstream: stream %s is set up otherwise than a relay needs it, which has %d replicas", want.Name, want.Replicas)
	}
	return s.mayUse(ctx)
}

// link is a connection to one of the servers at a time, and the stream as it is reached over it.
type link struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream
}

// dial connects to the servers, of those that are given the first'th at first.
func (s *Store) dial(first int) (l link, err error) {
	options := []nats.Option{
		nats.Name("godwit relay"), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond), nats.Timeout(attempt), nats.NoEcho(), nats.DontRandomize(),
		nats.NoCallbacksAfterClientClose(), nats.WriteBufferSize(1 << 20),
		// A server that is silent without being gone is left for another.
		nats.PingInterval(asking), nats.MaxPingsOutstanding(2), nats.FlusherTimeout(attempt),
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			if s.lost(nc) {
				s.log.Warn("the store's servers are out of reach", "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { s.log.Info("the store's servers are reached again") }),
	}
	if s.cfg.Creds != "" {
		options = append(options, nats.UserCredentials(s.cfg.Creds))
	}
	servers := strings.Split(s.cfg.Servers, ",")
	if l.nc, err = nats.Connect(strings.Join(append(slices.Clone(servers[first:]), servers[:first]...), ","), options...); err != nil {
		return link{}, fmt.Errorf("jetstream: connect: %w", err)
	}
	if l.js, err = jetstream.New(l.nc, jetstream.WithDefaultTimeout(attempt)); err != nil {
		l.nc.Close()
		return link{}, fmt.Errorf("jetstream: %w", err)
	}
	if err := s.hearTurns(l.nc); err != nil {
		l.nc.Close()
		return link{}, fmt.Errorf("jetstream: %w", err)
	}
	return l, nil
}

// use has the Store ask over a link from now on.
func (s *Store) use(l link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link = l
}

// asked is what the Store asks over now.
func (s *Store) asked() link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link
}

func leaderOf(info *jetstream.StreamInfo) string {
	if info.Cluster == nil {
		return ""
	}
	return info.Cluster.Leader
}

// lost has nobody wait any more for answers over a connection that is gone, if it is the one that is asked over.
func (s *Store) lost(nc *nats.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if nc != s.nc {
		return false
	}
	s.unlink()
	s.linked, s.unlink = context.WithCancel(s.running)
	return true
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
	info, err := s.asked().stream.Info(ctx)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.used = info.State.Bytes
		if takes(info.Cluster) {
			s.seen = time.Now()
			s.heardAgain()
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
