package dht

import (
	"bytes"
	"container/heap"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/godwit-im/godwit/p2p/rendezvous"
	ds "github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	kb "github.com/libp2p/go-libp2p-kbucket"
	recpb "github.com/libp2p/go-libp2p-record/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"
)

var (
	errFull        = errors.New("dht: full of records that are nearer")
	errUnsupported = errors.New("dht: the store of records cannot do this")
)

// records keeps others' rendezvous records, in memory: they live for half a day,
// and lie at twenty servers. When it is full, the records farthest from us go,
// for which we are the least answerable: who wants a record out has to make keys
// that are nearer.
type records struct {
	self kb.ID
	max  int

	mu    sync.Mutex
	byKey map[ds.Key]*kept
	far   farthest // a heap of the same
}

type kept struct {
	key      ds.Key
	value    []byte // of recpb.Record
	expiry   time.Time
	distance [32]byte
	index    int // in the heap
}

var _ ds.Batching = (*records)(nil)

func newRecords(self peer.ID, max int) *records {
	return &records{self: kb.ConvertPeerID(self), max: max, byKey: make(map[ds.Key]*kept)}
}

// Put keeps a record that kad-dht found valid.
func (r *records) Put(_ context.Context, key ds.Key, value []byte) error {
	var rec recpb.Record
	if err := proto.Unmarshal(value, &rec); err != nil {
		return err
	}
	parsed, err := rendezvous.Parse(rec.GetValue())
	if err != nil {
		return err
	}
	k := &kept{key: key, value: value, expiry: parsed.Expiry, distance: distance(r.self, kb.ConvertKey(string(rec.GetKey())))}
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.byKey[key]; old != nil {
		r.drop(old)
	}
	if len(r.byKey) >= r.max {
		r.sweepLocked()
	}
	if len(r.byKey) >= r.max {
		if r.max <= 0 || bytes.Compare(k.distance[:], r.far[0].distance[:]) >= 0 {
			return errFull
		}
		r.drop(r.far[0])
	}
	r.byKey[key] = k
	heap.Push(&r.far, k)
	return nil
}

// Get is a record that has not expired.
func (r *records) Get(_ context.Context, key ds.Key) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.byKey[key]
	if k == nil {
		return nil, ds.ErrNotFound
	}
	if !k.expiry.After(time.Now()) {
		r.drop(k)
		return nil, ds.ErrNotFound
	}
	return k.value, nil
}

// Delete forgets a record.
func (r *records) Delete(_ context.Context, key ds.Key) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.byKey[key]; k != nil {
		r.drop(k)
	}
	return nil
}

func (r *records) drop(k *kept) {
	delete(r.byKey, k.key)
	heap.Remove(&r.far, k.index)
}

// sweep forgets what expired.
func (r *records) sweep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweepLocked()
}

func (r *records) sweepLocked() {
	now := time.Now()
	for _, k := range r.byKey {
		if !k.expiry.After(now) {
			r.drop(k)
		}
	}
}

func (r *records) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.byKey)
}

// Has says whether Get finds.
func (r *records) Has(ctx context.Context, key ds.Key) (bool, error) {
	_, err := r.Get(ctx, key)
	return err == nil, nil
}

// GetSize is the length of what Get finds.
func (r *records) GetSize(ctx context.Context, key ds.Key) (int, error) {
	v, err := r.Get(ctx, key)
	if err != nil {
		return -1, err
	}
	return len(v), nil
}

// kad-dht needs none of the rest where providers have a store of their own.

// Query is not supported.
func (r *records) Query(context.Context, query.Query) (query.Results, error) {
	return nil, errUnsupported
}

// Batch is not supported.
func (r *records) Batch(context.Context) (ds.Batch, error) { return nil, errUnsupported }

// Sync has nothing to do.
func (r *records) Sync(context.Context, ds.Key) error { return nil }

// Close has nothing to do.
func (r *records) Close() error { return nil }

// distance is Kademlia's.
func distance(a, b kb.ID) (d [32]byte) {
	for i := range d {
		d[i] = a[i] ^ b[i]
	}
	return d
}

// farthest is a heap with the farthest first.
type farthest []*kept

func (f farthest) Len() int           { return len(f) }
func (f farthest) Less(i, j int) bool { return bytes.Compare(f[i].distance[:], f[j].distance[:]) > 0 }
func (f farthest) Swap(i, j int) {
	f[i], f[j] = f[j], f[i]
	f[i].index, f[j].index = i, j
}
func (f *farthest) Push(x any) {
	k := x.(*kept)
	k.index = len(*f)
	*f = append(*f, k)
}
func (f *farthest) Pop() any {
	last := len(*f) - 1
	k := (*f)[last]
	(*f)[last] = nil
	*f = (*f)[:last]
	return k
}
