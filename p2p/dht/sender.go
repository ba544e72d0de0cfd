package dht

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	kb "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"
)

type peerInfo = kb.PeerInfo

const (
	// maxAnswer bounds an answer in bytes: 20 nearer peers and 32 relays with 16
	// addresses each are some 30 KB.
	maxAnswer = 128 << 10
	// maxCloser and maxProvided bound what is heeded of an answer.
	maxCloser, maxProvided = bucketSize + 1, providersPerAnswer
)

var errAnswer = errors.New("dht: an answer that is none")

// sender sends kad-dht's requests, each on a stream of its own. kad-dht's own
// sender waits 10 s for an answer, twice, and reads up to 4 MiB of it.
type sender struct {
	host    host.Host
	timeout time.Duration
	corners *corners
}

var _ pb.MessageSenderWithDisconnect = (*sender)(nil)

// SendRequest asks and reads the answer.
func (s *sender) SendRequest(ctx context.Context, to peer.ID, req *pb.Message) (*pb.Message, error) {
	var answer pb.Message
	err := s.exchange(ctx, to, req, func(r *bufio.Reader) error {
		size, err := binary.ReadUvarint(r)
		if err != nil {
			return err
		}
		if size > maxAnswer {
			return fmt.Errorf("%w: %d bytes", errAnswer, size)
		}
		raw := make([]byte, size)
		if _, err := io.ReadFull(r, raw); err != nil {
			return err
		}
		if err := proto.Unmarshal(raw, &answer); err != nil {
			return fmt.Errorf("%w: %w", errAnswer, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if req.GetType() == pb.Message_PUT_VALUE && answer.GetRecord() == nil {
		return nil, fmt.Errorf("%w: no record", errAnswer) // kad-dht would panic
	}
	answer.CloserPeers = cut(answer.CloserPeers, maxCloser)
	answer.ProviderPeers = cut(answer.ProviderPeers, maxProvided)
	for _, p := range append(answer.CloserPeers[:len(answer.CloserPeers):len(answer.CloserPeers)], answer.ProviderPeers...) {
		p.Addrs = cut(p.Addrs, maxAddrs)
	}
	if l, ok := ctx.Value(lookupKey{}).(*lookup); ok {
		l.answered(to)
	}
	return &answer, nil
}

// SendMessage tells, and waits until the other side has taken it in: it closes
// the stream then, and resets it if it refuses.
func (s *sender) SendMessage(ctx context.Context, to peer.ID, msg *pb.Message) error {
	return s.exchange(ctx, to, msg, func(r *bufio.Reader) error {
		switch _, err := r.ReadByte(); err {
		case io.EOF:
			return nil
		case nil:
			return errAnswer
		default:
			return err
		}
	})
}

func (s *sender) exchange(ctx context.Context, to peer.ID, msg *pb.Message, read func(*bufio.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	raw, err := proto.Marshal(msg)
	if err != nil {
		return fmt.Errorf("dht: encode request: %w", err)
	}
	st, err := s.host.NewStream(ctx, to, Protocol)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { st.Reset() })()
	if err = write(st, raw); err == nil {
		err = read(bufio.NewReader(st))
	}
	if err != nil {
		st.Reset()
		return errors.Join(err, ctx.Err())
	}
	s.corners.note(to, st.Conn().RemoteMultiaddr())
	return st.Close()
}

// write sends the one message of a stream.
func write(st network.Stream, raw []byte) error {
	if _, err := st.Write(append(binary.AppendUvarint(nil, uint64(len(raw))), raw...)); err != nil {
		return err
	}
	return st.CloseWrite()
}

// OnDisconnect has nothing to do: no stream outlives its request.
func (s *sender) OnDisconnect(context.Context, peer.ID) {}

func cut[T any](list []T, n int) []T { return list[:min(n, len(list))] }

// A lookup notes who answered the requests that were made with its context.
type lookup struct {
	mu    sync.Mutex
	peers map[peer.ID]bool
}

type lookupKey struct{}

func withLookup(ctx context.Context) (context.Context, *lookup) {
	l := &lookup{peers: make(map[peer.ID]bool)}
	return context.WithValue(ctx, lookupKey{}, l), l
}

func (l *lookup) answered(p peer.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.peers[p] = true
}

// nearest lists who answered, nearest to a key first.
func (l *lookup) nearest(key string) []peer.ID {
	l.mu.Lock()
	defer l.mu.Unlock()
	ps := make([]peer.ID, 0, len(l.peers))
	for p := range l.peers {
		ps = append(ps, p)
	}
	return kb.SortClosestPeers(ps, kb.ConvertKey(key))
}
