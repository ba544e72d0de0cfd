// Package servers runs a cluster of NATS servers on loopback, for the tests and the
// benchmark of package jetstream. They are set as a relay needs them: JetStream in files,
// synced before each answer.
package servers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Cluster is some servers, each a process with a directory of its own. Its methods are
// called by one goroutine at a time.
type Cluster struct {
	binary  string
	servers []*server
}

type server struct {
	dir  string
	url  string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process is gone
}

// Start runs n servers, of the program at binary, which keep what they have below dir. It
// returns when they can make a stream.
func Start(ctx context.Context, binary, dir string, n int) (_ *Cluster, err error) {
	c := &Cluster{binary: binary}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	ports, err := freePorts(2 * n)
	if err != nil {
		return nil, err
	}
	var routes []string
	for _, port := range ports[n:] {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	for i := range n {
		s := &server{dir: filepath.Join(dir, fmt.Sprint("server", i)), url: fmt.Sprintf("nats://127.0.0.1:%d", ports[i])}
		if err := os.MkdirAll(s.dir, 0o700); err != nil {
			return nil, fmt.Errorf("servers: %w", err)
		}
		conf := fmt.Sprintf("server_name: %s\nlisten: \"127.0.0.1:%d\"\njetstream { store_dir: %q, sync_interval: always, max_mem: 64MB, max_file: 64GB }\n", name(i), ports[i], s.dir)
		if n > 1 {
			conf += fmt.Sprintf("cluster { name: godwit, listen: \"127.0.0.1:%d\", routes: [%s] }\n", ports[n+i], strings.Join(routes, ", "))
		}
		if err := os.WriteFile(filepath.Join(s.dir, "nats.conf"), []byte(conf), 0o600); err != nil {
			return nil, fmt.Errorf("servers: %w", err)
		}
		c.servers = append(c.servers, s)
		if err := c.Run(i); err != nil {
			return nil, err
		}
	}
	return c, c.Ready(ctx)
}

func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("servers: %w", err)
		}
		defer l.Close() // after all are chosen, so that they differ
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// name is what a server is called in the cluster.
func name(i int) string { return fmt.Sprint("s", i) }

// URL is where all servers are, for a client.
func (c *Cluster) URL() string {
	var urls []string
	for _, s := range c.servers {
		urls = append(urls, s.url)
	}
	return strings.Join(urls, ",")
}

// Run starts a server that was stopped.
func (c *Cluster) Run(i int) error {
	s := c.servers[i]
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("servers: %w", err)
	}
	defer log.Close() // the process has its own copy
	s.cmd, s.done = exec.Command(c.binary, "-c", filepath.Join(s.dir, "nats.conf")), make(chan struct{})
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("servers: %w", err)
	}
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait() // that it is gone is all that matters
		close(done)
	}(s.cmd, s.done)
	return nil
}

// Kill ends a server as a power cut would: SIGKILL.
func (c *Cluster) Kill(i int) { c.end(i, os.Kill) }

// Stop ends a server in order.
func (c *Cluster) Stop(i int) { c.end(i, syscall.SIGTERM) }

func (c *Cluster) end(i int, how os.Signal) {
	s := c.servers[i]
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	if s.cmd.Process.Signal(how) != nil {
		_ = s.cmd.Process.Kill() // gone already, perhaps
	}
	select {
	case <-s.done:
	case <-time.After(20 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
}

// Close kills all.
func (c *Cluster) Close() {
	for i := range c.servers {
		c.Kill(i)
	}
}

// Ready waits until all servers are part of the cluster: a stream that needs each of them
// can be made.
func (c *Cluster) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("servers: not ready after a minute"))
	defer cancel()
	nc, err := nats.Connect(c.URL(), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		return fmt.Errorf("servers: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("servers: %w", err)
	}
	for {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := js.CreateStream(try, jetstream.StreamConfig{Name: "ready", Subjects: []string{"ready"}, Replicas: len(c.servers), Storage: jetstream.MemoryStorage})
		if err == nil || errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			err = js.DeleteStream(try, "ready")
		}
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Publisher is a client of the servers, with one connection, to the one that leads the stream as a relay's is, that
// has the stream take in messages, each to a subject of its own, and waits for each: the ground that
// cluster_deposit_ratio stands on.
type Publisher struct {
	nc   *nats.Conn
	js   jetstream.JetStream
	name string
	n    atomic.Uint64
}

// Publisher makes a client for a stream, which it makes too if it is not there.
func (c *Cluster) Publisher(ctx context.Context, stream jetstream.StreamConfig) (*Publisher, error) {
	p, leader, err := publisher(ctx, c.URL(), stream)
	if err != nil {
		return nil, err
	}
	for i, s := range c.servers {
		if leader == name(i) {
			p.Close()
			p, _, err = publisher(ctx, s.url, stream)
			return p, err
		}
	}
	return p, nil // it has one server alone
}

func publisher(ctx context.Context, url string, stream jetstream.StreamConfig) (_ *Publisher, leader string, err error) {
	nc, err := nats.Connect(url)
	if err != nil {
		return nil, "", fmt.Errorf("servers: %w", err)
	}
	defer func() {
		if err != nil {
			nc.Close()
		}
	}()
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, "", fmt.Errorf("servers: %w", err)
	}
	made, err := js.CreateOrUpdateStream(ctx, stream)
	if err != nil {
		return nil, "", fmt.Errorf("servers: %w", err)
	}
	if in := made.CachedInfo().Cluster; in != nil {
		leader = in.Leader
	}
	return &Publisher{nc: nc, js: js, name: stream.Name + "." + rand.Text()}, leader, nil
}

// Publish returns once the servers have the message. Any number may wait at a time.
func (p *Publisher) Publish(ctx context.Context, data []byte) error {
	_, err := p.js.Publish(ctx, fmt.Sprintf("%s.%d", p.name, p.n.Add(1)), data)
	return err
}

// Close ends the connection.
func (p *Publisher) Close() { p.nc.Close() }
