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
