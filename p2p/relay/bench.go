package relay

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/libp2p/go-libp2p/core/peer"
	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// Load is what Deposit and DepositBare put on a server: Clients connections,
// each with one deposit under way at a time, every deposit of 4 KiB into the next of the
// client's queues, which is proven with it. Warm is not counted, Measure is.
type Load struct {
	Clients       int
	Warm, Measure time.Duration
	// CPU is asked at the beginning and the end of Measure, for what the server's
	// process used so far; nil is not asked.
	CPU func() (time.Duration, error)
}

// Rate is what a server did under a Load.
type Rate struct {
	Deposits  int
	PerSecond float64
	CPU       time.Duration // of the server, per deposit
}

const (
	// clientQueues is how many queues each client deposits into by turns: more than a relay
	// remembers as proven.
	clientQueues = 300
	// settle is what a relay is left, after the queues were opened and before
	// the Load, to finish what that gave it to do.
	settle = time.Second
)

// Deposit loads a relay in loopback mode that runs in another process. Every
// receipt is verified. An error ends it: nothing may be refused.
func Deposit(ctx context.Context, relay peer.AddrInfo, load Load) (Rate, error) {
	work, done, err := Depositors(ctx, relay, load.Clients)
	if err != nil {
		return Rate{}, err
	}
	defer done()
	return load.Run(ctx, work)
}

// Depositors are the clients of a Deposit who stay for several Loads, each with what it is to
// do in them: a deposit into the next of its queues, which is proven anew. They stay until
// done is called. The relay has had time to finish what their coming gave it to do.
func Depositors(ctx context.Context, relay peer.AddrInfo, clients int) (work []func() error, done func(), err error) {
	all := make([]*depositor, clients)
	done = func() {
		for _, d := range all {
			if d != nil {
				d.close()
			}
		}
	}
	if err = each(clients, func(i int) (err error) {
		all[i], err = newDepositor(ctx, relay, mailbox.GenerateBox())
		return err
	}); err == nil {
		select {
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-time.After(settle):
			for _, d := range all {
				work = append(work, func() error { return d.deposit(ctx) })
			}
			return work, done, nil
		}
	}
	done()
	return nil, nil, err
}

// Run lets each client do its work, again and again until the time is over. An error ends it.
func (l Load) Run(ctx context.Context, work []func() error) (r Rate, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var done atomic.Int64
	var working sync.WaitGroup
	for _, f := range work {
		working.Go(func() {
			for ctx.Err() == nil {
				if err := f(); err != nil {
					cancel(err)
					return
				}
				done.Add(1)
			}
		})
	}
	look := func(wait time.Duration) (n int64, at time.Time, cpu time.Duration, err error) {
		select {
		case <-ctx.Done():
			return 0, at, 0, context.Cause(ctx)
		case <-time.After(wait):
		}
		n, at = done.Load(), time.Now()
		if l.CPU != nil {
			cpu, err = l.CPU()
		}
		return n, at, cpu, err
	}
	n0, t0, c0, err := look(l.Warm)
	if err == nil {
		var n1 int64
		var t1 time.Time
		var c1 time.Duration
		if n1, t1, c1, err = look(l.Measure); err == nil && n1 > n0 {
			r = Rate{Deposits: int(n1 - n0), PerSecond: float64(n1-n0) / t1.Sub(t0).Seconds(), CPU: (c1 - c0) / time.Duration(n1-n0)}
		}
	}
	cancel(errOver)
	working.Wait()
	if err == nil && r.Deposits == 0 {
		err = errors.New("relay: nothing was deposited")
	}
	return r, err
}

var errOver = errors.New("relay: the time is over")

// depositor is one client with its own host, its own box (from another host,
// as in life) and queues to fill.
type depositor struct {
	node   *node.Node
	client *mailbox.Client
	queues []mailbox.Queue
	cell   []byte
	made   uint64 // cells
	n      int    // the next queue
}

func newDepositor(ctx context.Context, relay peer.AddrInfo, box mailbox.BoxPrivate) (_ *depositor, err error) {
	d := &depositor{cell: make([]byte, mailbox.CellSmall)}
	rand.Read(d.cell) // never fails, see crypto/rand
	if d.queues, err = openQueues(ctx, relay, box, clientQueues); err != nil {
		return nil, err
	}
	if d.node, err = quietNode(); err != nil {
		return nil, err
	}
	if d.client, err = mailbox.Dial(ctx, d.node.Host(), relay); err != nil {
		return nil, errors.Join(err, d.node.Close())
	}
	return d, nil
}

// quietNode is a node that dials over loopback.
func quietNode() (*node.Node, error) {
	return node.New(node.Config{Mode: node.Loopback, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
}

func (d *depositor) close() {
	d.client.Close()
	d.node.Close()
}

// deposit makes one deposit into the next queue.
func (d *depositor) deposit(ctx context.Context) error { return d.next(d.cell)(ctx) }

// next has a cell that was not deposited before ready for the next queue; the first follows the last. Nothing else uses
// the cell until it is there.
func (d *depositor) next(cell []byte) func(context.Context) error {
	d.made++
	binary.BigEndian.PutUint64(cell, d.made)
	queue := d.queues[d.n%len(d.queues)]
	d.n++
	return func(ctx context.Context) error {
		_, err := d.client.Put(ctx, queue.Write, cell, 0)
		return err
	}
}

// openQueues leases a box of a key and opens queues of today in it.
func openQueues(ctx context.Context, relay peer.AddrInfo, key mailbox.BoxPrivate, n int) ([]mailbox.Queue, error) {
	host, err := quietNode()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	c, err := mailbox.Dial(ctx, host.Host(), relay)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if _, err := c.Login(ctx, key); err != nil {
		return nil, err
	}
	if _, err := c.Lease(ctx, key.Public(), nil); err != nil {
		return nil, err
	}
	queues := make([]mailbox.Queue, n)
	names := make([]mailbox.QID, n)
	for i := range queues {
		d, err := mailbox.NewDescriptor(relay, c.Now(), c.Limits())
		if err != nil {
			return nil, err
		}
		queues[i] = d.Queue(c.Epoch())
		names[i] = queues[i].Write.QID()
	}
	return queues, c.Open(ctx, mailbox.Ordinary, c.Now().Add(24*time.Hour), names...)
}

// Fill deposits cells of 4 KiB, a hundred in each queue, a thousand in each box.
func Fill(ctx context.Context, relay peer.AddrInfo, cells int) error {
	host, err := quietNode()
	if err != nil {
		return err
	}
	defer host.Close()
	c, err := mailbox.Dial(ctx, host.Host(), relay)
	if err != nil {
		return err
	}
	defer c.Close()
	for cells > 0 {
		queues, err := openQueues(ctx, relay, mailbox.GenerateBox(), 10)
		if err != nil {
			return err
		}
		part := min(cells, 1000)
		errs := make([]error, part)
		var putting sync.WaitGroup
		for i := range part {
			putting.Go(func() {
				cell := make([]byte, mailbox.CellSmall)
				rand.Read(cell) // never fails, see crypto/rand
				_, errs[i] = c.Put(ctx, queues[i%len(queues)].Write, cell, 0)
			})
		}
		putting.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
		cells -= part
	}
	return nil
}

// A bare server is the ground that mailbox_deposit_ratio stands on. It does for
// the same clients what no relay can leave out, and nothing else: it reads, verifies one
// Ed25519 signature per queue, appends, syncs once a group, signs once a group, answers.
//
// The client sends public key 32 ‖ signature 64 of (challenge 32 ‖ key) ‖ cell
// 4096; the server, after 64 bytes of greeting (challenge, its own key), answers with digest 32 of the group ‖
// signature 64.
const (
	bareRequest = ed25519.PublicKeySize + ed25519.SignatureSize + mailbox.CellSmall
	bareAnswer  = sha256.Size + ed25519.SignatureSize
	bareGroup   = mailbox.MaxBatch
)

// bareRules are by which both take a signature for good; with the same implementation as the relay's.
func bareRules() *voi.Options { return &voi.Options{Verify: voi.VerifyOptionsStdLib} }

// ServeBare runs a bare server on loopback, with its file in dir, until the
// context ends. ready is told its address.
func ServeBare(ctx context.Context, dir string, ready func(addr string)) error {
	f, err := os.Create(filepath.Join(dir, "bare.log"))
	if err != nil {
		return fmt.Errorf("relay: bare server: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("relay: bare server: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("relay: bare server: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	ready(l.Addr().String())

	s := &bareServer{key: key, file: f, queue: make(chan *bareDeposit, bareGroup)}
	var committing, serving sync.WaitGroup
	committing.Go(s.commit)
	for {
		conn, err := l.Accept()
		if err != nil {
			break
		}
		serving.Go(func() {
			defer conn.Close()
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer stop()
			s.serve(conn)
		})
	}
	serving.Wait()
	close(s.queue)
	committing.Wait()
	return nil
}

type bareServer struct {
	key   ed25519.PrivateKey
	file  *os.File
	queue chan *bareDeposit
}

type bareDeposit struct {
	request []byte
	done    chan []byte // the answer; nil if it could not be kept
}

func (s *bareServer) serve(conn net.Conn) {
	var challenge [32]byte
	rand.Read(challenge[:]) // never fails, see crypto/rand
	if _, err := conn.Write(append(challenge[:], s.key[32:]...)); err != nil {
		return
	}
	r := bufio.NewReaderSize(conn, 2*bareRequest)
	d := &bareDeposit{request: make([]byte, bareRequest), done: make(chan []byte, 1)}
	for {
		if _, err := io.ReadFull(r, d.request); err != nil {
			return
		}
		public, signature := d.request[:32], d.request[32:96]
		if !voi.VerifyWithOptions(public, append(challenge[:], public...), signature, bareRules()) {
			return
		}
		s.queue <- d
		answer := <-d.done
		if answer == nil {
			return
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// commit takes all that waits, as the relay does.
func (s *bareServer) commit() {
	var group []*bareDeposit
	var b []byte
	for d := range s.queue {
		group, b = append(group[:0], d), append(b[:0], d.request...)
		for more := true; more && len(group) < bareGroup; {
			select {
			case d, ok := <-s.queue:
				if more = ok; ok {
					group, b = append(group, d), append(b, d.request...)
				}
			default:
				more = false
			}
		}
		var answer []byte
		if _, err := s.file.Write(b); err == nil && dataSync(s.file) == nil {
			digest := sha256.Sum256(b)
			answer = append(digest[:], voi.Sign(voi.PrivateKey(s.key), digest[:])...)
		}
		for _, d := range group {
			d.done <- answer
		}
	}
}

// DepositBare loads a bare server that runs in another process.
func DepositBare(ctx context.Context, addr string, load Load) (Rate, error) {
	work := make([]func() error, load.Clients)
	for i := range work {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			return Rate{}, fmt.Errorf("relay: bare client: %w", err)
		}
		defer conn.Close()
		var greeting [64]byte
		if _, err := io.ReadFull(conn, greeting[:]); err != nil {
			return Rate{}, fmt.Errorf("relay: bare client: %w", err)
		}
		relay, err := voi.NewExpandedPublicKey(greeting[32:])
		if err != nil {
			return Rate{}, fmt.Errorf("relay: bare client: %w", err)
		}
		keys := make([]ed25519.PrivateKey, clientQueues)
		for i := range keys {
			var seed [ed25519.SeedSize]byte
			rand.Read(seed[:]) // never fails, see crypto/rand
			keys[i] = ed25519.NewKeyFromSeed(seed[:])
		}
		request, answer, n := make([]byte, bareRequest), make([]byte, bareAnswer), 0
		rand.Read(request)
		work[i] = func() error {
			k := keys[n%len(keys)]
			n++
			copy(request, k[32:])
			copy(request[32:], voi.Sign(voi.PrivateKey(k), append(greeting[:32:32], k[32:]...)))
			if _, err := conn.Write(request); err != nil {
				return err
			}
			if _, err := io.ReadFull(conn, answer); err != nil {
				return err
			}
			if !voi.VerifyExpandedWithOptions(relay, answer[:32], answer[32:], bareRules()) {
				return mailbox.ErrBadReceipt
			}
			return nil
		}
	}
	return load.Run(ctx, work)
}
