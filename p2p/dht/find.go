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

// widened is how many peers more are told and asked where a key looks surrounded.
const widened = 2 * bucketSize

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

// Put puts a record at the 20 servers nearest to its key, and at up to 40 more if
// these look like Sybils. Errors as of Publish; a record that servers would
// refuse gets rendezvous' own.
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
	targets := cut(near, bucketSize)
	if s >= Alarm {
		targets = d.widen(key, near)
	}
	rec := record.MakePutRecord(key, value)
	stored = d.each(ctx, targets, func(ctx context.Context, p peer.ID) error { return d.messenger.PutValue(ctx, p, rec) })
	if stored == 0 {
		return 0, errors.Join(fmt.Errorf("%w: %d asked", ErrNotStored, len(targets)), ctx.Err())
	}
	return stored, nil
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
// nearest first, with the digits of suspicion about them.
func (d *DHT) nearest(ctx context.Context, key string) ([]peer.ID, float64, error) {
	ctx, cancel := context.WithTimeout(ctx, LookupTimeout)
	defer cancel()
	if err := d.Ready(ctx); err != nil {
		return nil, 0, err
	}
	asked, cancel := d.with(ctx)
	defer cancel()
	asked, l := withLookup(asked)
	_, err := d.kad.GetClosestPeers(asked, key)
	near := l.nearest(key)
	if len(near) == 0 {
		return nil, 0, errors.Join(fmt.Errorf("%w: none answered the lookup", ErrNoPeers), ctx.Err())
	}
	if ctx.Err() == nil && d.ctx.Err() == nil && err != nil {
		return nil, 0, fmt.Errorf("dht: look up: %w", err)
	}
	// A lookup that took too long knows some of the nearest all the same.
	return near, d.suspect(key, near), nil
}

// with has a caller's context end with the DHT too, and its dials be short.
func (d *DHT) with(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(withDial(ctx, d.times.dial))
	stop := context.AfterFunc(d.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// widen adds to the nearest peers those that the routing table knows next. Sybils
// that stand nearer than all honest peers cannot keep these from being asked.
func (d *DHT) widen(key string, near []peer.ID) []peer.ID {
	wide := slices.Clone(cut(near, bucketSize+widened))
	for _, p := range d.kad.RoutingTable().NearestPeers(kb.ConvertKey(key), bucketSize+widened) {
		if len(wide) < bucketSize+widened && !slices.Contains(wide, p) {
			wide = append(wide, p)
		}
	}
	return wide
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
// newer. It reckons the suspicion, and asks further if that is high and nothing
// was found.
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
	if d.suspect(key, near) < Alarm || !none {
		return nil
	}
	var mu sync.Mutex
	d.each(ctx, d.widen(key, near), func(ctx context.Context, p peer.ID) error {
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
