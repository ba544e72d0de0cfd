package dht

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/rendezvous"
	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	kb "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// near is a key whose PeerID shares its first bits with a key of the DHT.
func (w *world) near(key string, bits int) crypto.PrivKey {
	w.t.Helper()
	for {
		k := w.key()
		id, err := peer.IDFromPrivateKey(k)
		if err != nil {
			w.t.Fatal(err)
		}
		if kb.CommonPrefixLen(kb.ConvertKey(key), kb.ConvertPeerID(id)) >= bits {
			return k
		}
	}
}

// gang has some members serve Eve: they name only each other, say that they
// keep what they are given, and give out nothing.
func gang(of []*member) {
	for _, m := range of {
		m.answers(func(req *pb.Message) *pb.Message {
			var ids []peer.ID
			for _, o := range of {
				ids = append(ids, o.host.ID())
			}
			if req.GetType() != pb.Message_PUT_VALUE {
				req.Record = nil
			}
			for _, id := range cut(kb.SortClosestPeers(ids, kb.ConvertKey(string(req.GetKey()))), bucketSize) {
				i := slices.IndexFunc(of, func(o *member) bool { return o.host.ID() == id })
				req.CloserPeers = append(req.CloserPeers, &pb.Message_Peer{Id: []byte(id), Addrs: [][]byte{of[i].host.Addrs()[0].Bytes()}})
			}
			return req
		})
	}
}

func kinds(as []Alarm) (list []AlarmKind) {
	for _, a := range as {
		list = append(list, a.Kind)
	}
	return list
}

// Eve made twenty ids nearer to Anna's key than any honest server's. They say that they
// keep Anna's record, and give it to nobody. This is seen by who publishes and by who
// looks, and the record is found at those who stand farther away, whether the
// region that they search is all of the DHT or a part of it.
func TestSybilsRoundAKey(t *testing.T) {
	for _, servers := range []int{24, 90} { // with 90 the region of a key is a part of them
		t.Run(fmt.Sprint(servers), func(t *testing.T) {
			if servers > 24 {
				long(t)
			}
			inWorld(t, servers, func(t *testing.T, w *world) {
				ways := infos(w.members[:3]...)
				anna, bob := w.join(Config{Bootstrap: ways}), w.join(Config{Bootstrap: ways})
				for _, m := range []*member{anna, bob} {
					for range 10 {
						m.publish(w.seed())
					}
					if as := m.Status().Alarms; len(as) > 0 {
						t.Fatalf("among honest peers: %v", as)
					}
				}
				seed := w.seed()
				key := seed.Keys(rendezvous.At(time.Now())).Key()
				var sybils []*member
				for range bucketSize {
					s := join(t, w.hostOf(w.near(key, 8)), Config{Bootstrap: ways})
					s.mustBeReady()
					sybils = append(sybils, s)
				}
				time.Sleep(10 * time.Second) // they become known
				gang(sybils)
				if _, err := bob.Find(within(t, time.Minute), seed, time.Now()); !errors.Is(err, ErrNotFound) {
					t.Fatalf("found before it was there: %v", err)
				}
				anna.publish(seed)
				for range 10 {
					anna.publish(w.seed()) // lookups of other keys make the crowd no less odd
				}
				if f := bob.finds(seed); f.Device.ID != anna.host.ID() {
					t.Errorf("found %v", f)
				}
				for name, m := range map[string]*member{"Anna": anna, "Bob": bob} {
					s := m.Status()
					if !slices.Equal(kinds(s.Alarms), []AlarmKind{Crowd}) {
						t.Errorf("%s's alarms: %v, of %d servers", name, s.Alarms, s.Size)
					}
				}
			})
		})
	}
}

// Everybody whom Bob was given by hand, and everybody whom he knew in the last run, serves
// Eve; his routing table holds nobody else. But his contacts told him of a relay, inside
// their sessions, and this is how he finds and is found.
func TestEclipsedButForARelay(t *testing.T) {
	inWorld(t, 24, func(t *testing.T, w *world) {
		anna, relay := w.members[7], w.members[11]
		eve := w.eves(30)
		bob := w.stranger(Config{Bootstrap: infos(eve[:5]...), Last: Memory{Peers: infos(eve...)}})
		bob.mustBeReady()
		time.Sleep(time.Minute)
		hers := w.seed()
		anna.publish(hers)
		if _, err := bob.Find(t.Context(), hers, time.Now()); !errors.Is(err, ErrNotFound) {
			t.Fatalf("he is not eclipsed: %v", err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- bob.Run(ctx) }()
		bob.AddPeers(infoOf(relay.host))
		time.Sleep(time.Second)
		if f := bob.finds(hers); f.Device.ID != anna.host.ID() {
			t.Errorf("found %v", f)
		}
		his := w.seed()
		bob.publish(his)
		if f := anna.finds(his); f.Device.ID != bob.host.ID() {
			t.Errorf("found %v", f)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// eves are members of a gang, with ids at random, whom no honest member knows.
func (w *world) eves(n int) (eves []*member) {
	for range n {
		eves = append(eves, join(w.t, w.host(), Config{}))
	}
	gang(eves)
	return eves
}

// Nobody whom Bob can reach is honest. Where the last run saw ten times as many servers
// he is told so, and not any more when he has found the others again; where it saw
// none, nothing gives Eve away. In neither case is anything found that is not so.
func TestAllWaysInAreEves(t *testing.T) {
	long(t)
	inWorld(t, 50, func(t *testing.T, w *world) {
		anna, relay := w.members[7], w.members[11]
		seed := w.seed()
		anna.publish(seed)
		eve := w.eves(12)
		var told []Alarm
		bob := w.stranger(Config{Bootstrap: infos(eve...), Last: Memory{Servers: 55, At: time.Now().Add(-24 * time.Hour)}, Alarmed: func(a Alarm) { told = append(told, a) }})
		carol := w.stranger(Config{Bootstrap: infos(eve...)})
		began := time.Now()
		for _, m := range []*member{bob, carol} {
			if _, err := m.Find(t.Context(), seed, time.Now()); !errors.Is(err, ErrNotFound) {
				t.Errorf("find: %v", err)
			}
		}
		if took := time.Since(began); took > 2*LookupTimeout {
			t.Errorf("took %v", took)
		}
		time.Sleep(time.Minute)
		if as := bob.Status().Alarms; len(as) != 1 || as[0].Kind != Shrunk || as[0].Before != 55 || as[0].Now > 14 || !slices.Equal(as, cut(told, 1)) {
			t.Errorf("Bob's alarms: %v, told %v", as, told)
		}
		if as := carol.Status().Alarms; len(as) != 0 {
			t.Errorf("Carol's alarms: %v", as)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- bob.Run(ctx) }()
		bob.AddPeers(infoOf(relay.host))
		time.Sleep(time.Second)
		if f := bob.finds(seed); f.Device.ID != anna.host.ID() {
			t.Errorf("found %v", f)
		}
		if as := bob.Status().Alarms; len(as) != 0 {
			t.Errorf("with everybody there again: %v", as)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Of honest look-ups, with a size estimated by one census, one in 5,000 makes us wary
// and fewer than one in 100,000 is an alarm. Twenty Sybils that stand just nearer than
// the nearest honest server make us wary for all keys but one in 500, and sound the alarm
// for all but one in 100.
func TestFalseAlarms(t *testing.T) {
	rnd := rand.New(rand.NewChaCha8([32]byte{}))
	id := func() (x kb.ID) {
		for range 4 {
			for v, i := rnd.Uint64(), 0; i < 8; i++ {
				x = append(x, byte(v>>(8*i)))
			}
		}
		return x
	}
	// closest gives the parts at which the nearest ids lie, as digits would see them.
	closest := func(ids []kb.ID, at kb.ID) []float64 {
		ps := make([]float64, len(ids))
		for i, p := range ids {
			ps[i] = part(at, p)
		}
		slices.Sort(ps)
		return cut(ps, bucketSize)
	}
	lookups, waries, alarms := 0, 0, 0
	attacks, unwary, calm := 0, 0, 0
	for _, n := range []int{22, 40, 100, 400} {
		for range 20_000 / n {
			ids := make([]kb.ID, n)
			for i := range ids {
				ids[i] = id()
			}
			var c census
			for range censusKeys {
				ps := closest(ids, id())
				c.add(count{servers: float64(len(ps)-1) / ps[len(ps)-1], at: time.Now()})
			}
			size := c.size(time.Now())
			for range 20 {
				ps := closest(ids, id())
				lookups++
				if x := suspicion(ps, size); x >= alarming {
					alarms++
				} else if x >= wary {
					waries++
				}
				sybils := make([]float64, bucketSize)
				for i := range sybils {
					sybils[i] = ps[0]
				}
				attacks++
				if x := suspicion(sybils, size); x < wary {
					unwary++
				} else if x < alarming {
					calm++
				}
			}
		}
	}
	t.Logf("of %d honest look-ups %d made wary and %d were alarms; of %d attacks %d were not seen and %d sounded no alarm", lookups, waries, alarms, attacks, unwary, calm)
	if waries*5000 > lookups*2 || alarms > 0 {
		t.Errorf("of %d honest look-ups %d made wary and %d were alarms", lookups, waries, alarms)
	}
	if unwary*250 > attacks || (unwary+calm)*50 > attacks {
		t.Errorf("of %d attacks %d were not seen, and %d sounded no alarm", attacks, unwary, calm)
	}
	if suspicion([]float64{0, 0, 0}, 0) != 0 || suspicion(nil, 100) != 0 {
		t.Error("a suspicion out of nothing")
	}
}

// Eve has one corner of the network, and keys made beforehand: of whatever key she is asked for, also
// one drawn just now, twenty of her ids lie next to it. Where corners count for nothing the DHT looks twenty times
// as large, and the crowd as it ought to be. Where they count she is seen.
func TestEveHasIdsForEveryKey(t *testing.T) {
	const servers, inTable, rounds = 400, 90, 10
	rnd := rand.New(rand.NewChaCha8([32]byte{1}))
	id := func() peer.ID {
		raw := make([]byte, 8)
		binary.BigEndian.PutUint64(raw, rnd.Uint64())
		return peer.ID(raw)
	}
	for name, diverse := range map[string]bool{"where corners count": true, "where they do not": false} {
		t.Run(name, func(t *testing.T) {
			d := &DHT{cfg: Config{Mode: node.Loopback, diverse: diverse}}
			var honest []peer.ID
			for i := range servers {
				honest = append(honest, id())
				d.corners.note(honest[i], ma.StringCast(fmt.Sprintf("/ip4/9.%d.0.1/tcp/1", i%256)))
			}
			unseen, alarms, size := 0, 0, 0
			for range rounds {
				table := draw(slices.Clone(honest), inTable) // whom the look-up can begin with
				look := func() (at kb.ID, answered, closest []peer.ID) {
					at = kb.ConvertKey(string(id()))
					mine := make([]peer.ID, 10_000)
					for i := range mine {
						mine[i] = id()
					}
					eves := cut(kb.SortClosestPeers(mine, at), bucketSize)
					for _, p := range eves {
						d.corners.note(p, ma.StringCast("/ip4/66.6.0.1/tcp/1"))
					}
					near := cut(kb.SortClosestPeers(slices.Clone(table), at), 10)
					answered = kb.SortClosestPeers(append(near, eves...), at)
					return at, answered, cut(answered, bucketSize)
				}
				var c census
				for range censusKeys {
					at, answered, closest := look()
					c.add(count{servers: d.estimateSpread(at, answered, closest), at: time.Now()})
				}
				size = c.size(time.Now())
				at, answered, _ := look()
				switch x := d.judge(at, answered, size); {
				case x < wary:
					unseen++
				case x >= alarming:
					alarms++
				}
			}
			t.Logf("of %d crowds %d were not seen and %d were alarms; the DHT seems to have %d servers", rounds, unseen, alarms, size)
			if diverse && unseen > 0 || !diverse && unseen < rounds {
				t.Errorf("of %d crowds %d were not seen", rounds, unseen)
			}
		})
	}
}

// An alarm is shown since when it was seen first, and goes half a day after it was seen
// last. A DHT that shrank in the course of weeks has not shrunk.
func TestAlarmsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []Alarm
		a := alarms{tell: func(x Alarm) { told = append(told, x) }}
		began := time.Now()
		a.raise(Alarm{Kind: Crowd, Digits: 9}, time.Now())
		time.Sleep(alarmLife - time.Minute)
		a.raise(Alarm{Kind: Crowd, Digits: 7}, time.Now())
		a.raise(Alarm{Kind: Split}, time.Now())
		last := time.Now()
		time.Sleep(alarmLife - time.Minute)
		want := []Alarm{{Kind: Crowd, Since: began, Last: last, Digits: 9}, {Kind: Split, Since: last, Last: last}}
		if got := a.live(time.Now()); !slices.Equal(got, want) {
			t.Errorf("live: %v", got)
		}
		if len(told) != 3 {
			t.Errorf("told %d times", len(told))
		}
		a.end(Split)
		if a.on(Split, time.Now()) || !a.on(Crowd, time.Now()) {
			t.Error("the wrong one ended")
		}
		time.Sleep(time.Minute)
		if got := a.live(time.Now()); len(got) != 0 {
			t.Errorf("half a day later: %v", got)
		}
		for n := 1000; n > 10; n -= n / 10 { // a tenth less each day
			a.sized(n, time.Now())
			if a.on(Shrunk, time.Now()) {
				t.Fatalf("at %d: shrunk", n)
			}
			time.Sleep(24 * time.Hour)
		}
		a.sized(200, time.Now())
		a.sized(49, time.Now())
		if !a.on(Shrunk, time.Now()) {
			t.Error("not shrunk to less than a quarter")
		}
		a.sized(60, time.Now())
		if a.on(Shrunk, time.Now()) {
			t.Error("shrunk to more than a quarter")
		}
		time.Sleep(sizeLife + time.Hour) // what was before is forgotten
		a.sized(39, time.Now())
		a.sized(1, time.Now())
		if a.on(Shrunk, time.Now()) {
			t.Error("too small a DHT can shrink")
		}
	})
}

// Regions hold what they ought to, and the keys that they are looked over by lie in all
// their parts.
func TestRegions(t *testing.T) {
	for size, want := range map[int]int{0: 0, 1: 0, 79: 0, 80: 1, 159: 1, 160: 2, 40 << 10: 10, 1 << 30: maxRegionBits} {
		if got := regionBits(size); got != want {
			t.Errorf("in a DHT of %d servers regions share %d bits, not %d", size, got, want)
		}
	}
	for _, shared := range []int{0, 1, 6} {
		at := kb.ConvertKey("key")
		seen := make(map[string]bool)
		for _, k := range drawKeys(at, shared) {
			h := kb.ConvertKey(string(k[:]))
			if kb.CommonPrefixLen(at, h) < shared {
				t.Errorf("%d bits: a key of another region", shared)
			}
			whole := ""
			for i := range shared + partBits {
				whole += fmt.Sprint(h[i/8] >> (7 - i%8) & 1)
			}
			seen[whole] = true
		}
		if len(seen) != parts {
			t.Errorf("%d bits: %d parts of the region", shared, len(seen))
		}
	}
}
