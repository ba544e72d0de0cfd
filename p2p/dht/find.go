package dht

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/godwit-im/godwit/p2p/rendezvous"
	kad "github.com/libp2p/go-libp2p-kad-dht"
	kb "github.com/libp2p/go-libp2p-kbucket"
	record "github.com/libp2p/go-libp2p-record"
	"github.com/libp2p/go-libp2p/core/peer"
)

// quorum: a lookup ends when more than this many servers gave the record out.
const quorum = 3

// Found is what a rendezvous record said.
type Found struct {
	rendezvous.Content
	// Seq is when it was written. A caller that remembers the highest of a seed
	// can refuse what is older.
	Seq    time.Time
	Expiry time.Time
}

// Publish seals content with the keys of this moment and puts it where the seed's
// readers look. stored is the number of servers that kept it. The
// error wraps rendezvous.ErrMalformed, ErrNoPeers or ErrNotStored, or is the context's.
func (d *DHT) Publish(ctx context.Context, seed rendezvous.Seed, c rendezvous.Content, now time.Time) (stored int, err error) {
	value, err := seed.Keys(rendezvous.At(now)).Seal(c, now, rendezvous.MaxLife)
	if err != nil {
		return 0, err
	}
	return d.Put(ctx, value)
}

// Put puts a record at the 20 servers nearest to its key. If these look like Sybils,
// or most of them do not keep it, it puts it at all others of the key's region, too.
// Errors as of Publish; a record that servers would refuse gets rendezvous' own.
func (d *DHT) Put(ctx context.Context, value []byte) (stored int, err error) {
	r, err := rendezvous.Parse(value)
	if err != nil {
		return 0, err
	}
	key := r.Key()
	if err := r.Verify(key, time.Now()); err != nil {
		return 0, err
	}
	near, s, err := d.nearest(ctx, key)
	if err != nil {
		return 0, err
	}
	rec := record.MakePutRecord(key, value)
	put := func(ctx context.Context, p peer.ID) error { return d.messenger.PutValue(ctx, p, rec) }
	// Where the routing table hides servers, the nearest of both sides may be
	// of the wrong one.
	targets := cut(near, bucketSize)
	targets = append(targets, without(cut(d.spread(near), bucketSize), targets)...)
	if d.alarms.on(Split, time.Now()) {
		targets = near
	}
	stored = d.each(ctx, targets, put)
	if s >= wary || stored*4 < len(targets) {
		rest := without(d.region(ctx, key), targets)
		stored += d.each(ctx, rest, put)
		targets = append(targets, rest...)
	}
	if stored == 0 {
		return 0, errors.Join(fmt.Errorf("%w: %d asked", ErrNotStored, len(targets)), ctx.Err())
	}
	return stored, nil
}

// without lists the peers that are not among others.
func without(ps, others []peer.ID) []peer.ID {
	return slices.DeleteFunc(slices.Clone(ps), func(p peer.ID) bool { return slices.Contains(others, p) })
}

// each does something with all of the peers at once; it counts those where it
// went well. Every exchange is bounded by the sender.
func (d *DHT) each(ctx context.Context, ps []peer.ID, do func(context.Context, peer.ID) error) (done int) {
	ctx, cancel := d.with(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, p := range ps {
		wg.Go(func() {
			if do(ctx, p) == nil {
				mu.Lock()
				defer mu.Unlock()
				done++
			}
		})
	}
	wg.Wait()
	return done
}

// nearest looks for the peers nearest to a key and lists those that answered,
// nearest first, with the suspicion about them.
func (d *DHT) nearest(ctx context.Context, key string) ([]peer.ID, float64, error) {
	near, _, err := d.lookUp(ctx, key)
	if err != nil {
		return nil, 0, err
	}
	return near, d.suspect(ctx, key, near), nil
}

// lookUp looks for the peers nearest to a key: those that answered, nearest first, and
// the at most 20 nearest that were heard of and not found dead. If the routing table
// seems to hide servers it goes by a path of our own, too.
func (d *DHT) lookUp(ctx context.Context, key string) (answered, closest []peer.ID, err error) {
	answered, closest, err = d.byTable(ctx, key)
	if !d.alarms.on(Split, time.Now()) {
		return answered, closest, err
	}
	own := d.followTold(ctx, key)
	if len(own) == 0 {
		return answered, closest, err
	}
	join := func(a, b []peer.ID) []peer.ID {
		return kb.SortClosestPeers(append(a, without(b, a)...), kb.ConvertKey(key))
	}
	return join(answered, own), cut(join(closest, own), bucketSize), nil
}

// byTable is lookUp by the routing table alone.
func (d *DHT) byTable(ctx context.Context, key string) (answered, closest []peer.ID, err error) {
	ctx, cancel := context.WithTimeout(ctx, LookupTimeout)
	defer cancel()
	if err := d.Ready(ctx); err != nil {
		return nil, nil, err
	}
	asked, cancel := d.with(ctx)
	defer cancel()
	asked, l := withLookup(asked)
	closest, err = d.kad.GetClosestPeers(asked, key)
	if answered = l.nearest(key); len(answered) == 0 {
		return nil, nil, errors.Join(fmt.Errorf("%w: none answered the lookup", ErrNoPeers), ctx.Err())
	}
	if ctx.Err() == nil && d.ctx.Err() == nil && err != nil {
		return nil, nil, fmt.Errorf("dht: look up: %w", err)
	}
	// A lookup that took too long knows some of the nearest all the same.
	return answered, closest, nil
}

// with has a caller's context end with the DHT too, and its dials be short.
func (d *DHT) with(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(withDial(ctx, d.times.dial))
	stop := context.AfterFunc(d.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// Find looks for the records of a seed that contacts wrote around now, and opens the
// newest. It takes LookupTimeout at most. The error wraps ErrNoPeers or
// ErrNotFound, or is the context's.
func (d *DHT) Find(ctx context.Context, seed rendezvous.Seed, now time.Time) (Found, error) {
	keys := make(map[string]rendezvous.Keys)
	var order []string
	for _, t := range rendezvous.Around(now) {
		k := seed.Keys(t)
		keys[k.Key()] = k
		order = append(order, k.Key())
	}
	var content rendezvous.Content
	r, err := d.newest(ctx, order, func(key string, r *rendezvous.Record) bool {
		c, err := keys[key].Open(r)
		if err != nil {
			return false // signed with our key, and yet not sealed with it: not one of ours
		}
		content = c
		return true
	})
	if err != nil {
		return Found{}, err
	}
	return Found{Content: content, Seq: r.Seq, Expiry: r.Expiry}, nil
}

// Get looks for the record under one key. Errors as of Find.
func (d *DHT) Get(ctx context.Context, key string) (*rendezvous.Record, error) {
	return d.newest(ctx, []string{key}, func(string, *rendezvous.Record) bool { return true })
}

// newest looks under several keys at once. It is content with the first key when
// that lookup is through, and with any record when the grace has passed since the
// first was found. take is asked, by one goroutine, for each record newer than the
// last that it took.
func (d *DHT) newest(ctx context.Context, keys []string, take func(key string, r *rendezvous.Record) bool) (*rendezvous.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, LookupTimeout)
	defer cancel()
	if err := d.Ready(ctx); err != nil {
		return nil, err
	}
	asked, stop := d.with(ctx)
	type event struct {
		key string
		r   *rendezvous.Record // nil: this key is through
		err error
	}
	events := make(chan event)
	var wg sync.WaitGroup
	for _, key := range keys {
		wg.Go(func() {
			err := d.search(asked, key, func(r *rendezvous.Record) {
				select {
				case events <- event{key: key, r: r}:
				case <-asked.Done():
				}
			})
			select {
			case events <- event{key: key, err: err}:
			case <-asked.Done():
			}
		})
	}
	defer wg.Wait()
	defer stop()

	var best *rendezvous.Record
	var bestKey string
	var enough <-chan time.Time
	var failed error
	for through := 0; through < len(keys); {
		select {
		case e := <-events:
			switch {
			case e.r == nil:
				through++
				failed = errors.Join(failed, e.err)
				if best != nil && e.key == keys[0] && bestKey == keys[0] {
					return best, nil
				}
			case (best == nil || e.r.Newer(best)) && take(e.key, e.r):
				best, bestKey = e.r, e.key
				if enough == nil {
					timer := time.NewTimer(d.times.grace)
					defer timer.Stop()
					enough = timer.C
				}
			}
		case <-enough:
			return best, nil
		case <-asked.Done():
			if best != nil {
				return best, nil
			}
			if d.ctx.Err() != nil {
				return nil, context.Canceled
			}
			if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
				return nil, fmt.Errorf("%w in time: %w", ErrNotFound, ctx.Err())
			}
			return nil, ctx.Err()
		}
	}
	if best != nil {
		return best, nil
	}
	return nil, errors.Join(ErrNotFound, failed)
}

// search looks under one key and hands over what it finds, each time something
// newer. If nothing was found, it asks all others of the key's region if the servers round
// the key look like Sybils, and those that a path of our own leads to if the routing
// table seems to hide servers.
func (d *DHT) search(ctx context.Context, key string, found func(*rendezvous.Record)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ctx, l := withLookup(ctx)
	values, err := d.kad.SearchValue(ctx, key, kad.Quorum(quorum))
	if err != nil {
		return fmt.Errorf("dht: look up: %w", err)
	}
	none := true
	for v := range values {
		if r, err := rendezvous.Parse(v); err == nil {
			none = false
			found(r)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	near := l.nearest(key)
	if len(near) == 0 && none {
		return fmt.Errorf("%w: none answered the lookup", ErrNoPeers)
	}
	// Who finds need not wait for a census.
	if !none {
		d.judge(kb.ConvertKey(key), near, d.census.size(time.Now()))
		return nil
	}
	var more []peer.ID
	if d.suspect(ctx, key, near) >= wary {
		more = d.region(ctx, key)
	}
	if d.alarms.on(Split, time.Now()) {
		own := cut(d.followTold(ctx, key), bucketSize)
		more = append(more, without(own, more)...)
	}
	var mu sync.Mutex
	d.each(ctx, without(more, near), func(ctx context.Context, p peer.ID) error {
		rec, _, err := d.messenger.GetValue(ctx, p, key)
		if err != nil {
			return err
		}
		r, err := rendezvous.Parse(rec.GetValue())
		if err == nil {
			err = r.Verify(key, time.Now())
		}
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		found(r)
		return nil
	})
	return nil
}
