package chat

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/node"
)

// Choice says whether and how relays are chosen. Its zero value: they are not.
type Choice struct {
	On   bool
	From RelayFinder // nil: by invitations alone
	Pace Pace        // the zero value is the usual one
}

// RelayFinder is the DHT as the choice of relays needs it.
type RelayFinder interface {
	// FindRelays looks for at least n relays. The error says that nobody could be
	// asked.
	FindRelays(ctx context.Context, n int) ([]peer.AddrInfo, error)
}

const (
	// relaysSetting is when relays were last replaced, as time.Time marshals it.
	relaysSetting = "relays/changed"
	// findRelays is how many relays are looked for at once, and refreshRelays how
	// often although none is needed: the oldest known come first.
	findRelays, refreshRelays = 16, 24 * time.Hour
	// trialTime bounds the trial of a candidate, and trials how many are tried in a row.
	trialTime, trials = time.Minute, 4
	// A candidate that failed is tried again after trialFirst, twice that, and so on
	// up to trialLast.
	trialFirst, trialLast = time.Hour, 7 * 24 * time.Hour
	// staleCandidate is how long a candidate is remembered of which nothing is heard.
	staleCandidate = 30 * 24 * time.Hour
	// barredFor is how long a relay is not chosen that was replaced or removed by hand.
	barredFor = 90 * 24 * time.Hour
	// downSaved is how exactly it is remembered for how long a relay did not serve.
	downSaved = 10 * time.Minute
)

// chooser keeps three relays that work in use. One goroutine does so; what is shared is
// under the mutex.
type chooser struct {
	c    *Chat
	from RelayFinder
	pace Pace
	wake chan struct{} // capacity 1: a relay failed a test, or there is a new candidate

	looks    pause
	looked   time.Time // when relays were last looked for, and
	answered time.Time // when somebody answered
	observed time.Time
	down     map[store.PeerID]time.Duration

	mu      sync.Mutex
	fails   map[store.PeerID]problem.Code
	work    int    // relays that do their work
	alike   int    // relays in use that have something in common
	lacking bool   // one is looked for
	why     string // and not found: why
}

// newChooser is nil if relays are not chosen.
func newChooser(c *Chat, cfg Choice) *chooser {
	if !cfg.On || c.brief {
		return nil
	}
	return &chooser{
		c: c, from: cfg.From, pace: cfg.Pace.orUsual(), wake: make(chan struct{}, 1),
		looks: pause{first: lookFirst, last: lookLast}, down: make(map[store.PeerID]time.Duration), fails: make(map[store.PeerID]problem.Code),
	}
}

// again has it look again soon.
func (ch *chooser) again() {
	select {
	case ch.wake <- struct{}{}:
	default:
	}
}

// run chooses until the context ends.
func (ch *chooser) run(ctx context.Context) {
	tick := time.NewTicker(ch.pace.Look)
	defer tick.Stop()
	for {
		if err := ch.step(ctx); err != nil && ctx.Err() == nil {
			ch.c.log.Error("relays cannot be chosen", "err", err)
		}
		var soon <-chan time.Time
		if ch.from != nil && ch.isLacking() {
			soon = time.After(max(time.Until(ch.looks.until), lookFirst))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-ch.wake:
		case <-soon:
		}
	}
}

func (ch *chooser) isLacking() bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.lacking
}

// situation is what the store says of relays.
type situation struct {
	changed    time.Time
	inUse      []store.Relay
	others     map[store.PeerID]bool // given up, or friends' computers
	faults     map[store.PeerID][]store.RelayFault
	tests      map[store.PeerID]store.RelayTest
	candidates []store.Candidate
}

func (ch *chooser) read(ctx context.Context) (s situation, err error) {
	err = ch.c.store.View(ctx, func(tx *store.Tx) (err error) {
		s, err = situationIn(tx)
		return err
	})
	return s, err
}

func situationIn(tx *store.Tx) (s situation, err error) {
	s = situation{others: make(map[store.PeerID]bool), faults: make(map[store.PeerID][]store.RelayFault), tests: make(map[store.PeerID]store.RelayTest)}
	raw, err := tx.Setting(relaysSetting)
	if err == nil && s.changed.UnmarshalBinary(raw) != nil {
		s.changed = time.Time{}
	} else if err != nil && !errors.Is(err, store.ErrNotFound) {
		return s, err
	}
	relays, err := tx.Relays()
	if err != nil {
		return s, err
	}
	for _, r := range relays {
		if !r.Removed.IsZero() || r.Friend != nil {
			s.others[r.Peer] = true
			continue
		}
		s.inUse = append(s.inUse, r)
		if s.faults[r.Peer], err = tx.RelayFaults(r.Peer, time.Now().Add(-store.FaultsFor)); err != nil {
			return s, err
		}
		if s.tests[r.Peer], err = tx.RelayTest(r.Peer); err != nil && !errors.Is(err, store.ErrNotFound) {
			return s, err
		}
	}
	s.candidates, err = tx.Candidates()
	s.candidates = slices.DeleteFunc(s.candidates, func(c store.Candidate) bool { return s.others[c.Peer] })
	return s, err
}

// step looks how the relays are, and changes one after the other what is to be changed.
func (ch *chooser) step(ctx context.Context) error {
	for range maxRelays {
		s, err := ch.read(ctx)
		if err != nil {
			return err
		}
		if err := ch.observe(ctx, s); err != nil {
			return err
		}
		inUse := ch.judge(s)
		want := decide(time.Now(), s.changed, ch.pace, inUse)
		changed := false
		switch {
		case want.add:
			changed, err = ch.add(ctx, s, inUse, want)
		case want.drop != "":
			changed, err = true, ch.apply(ctx, nil, want.drop)
		case time.Since(ch.looked) > refreshRelays && ch.maySeek():
			err = ch.seek(ctx)
		}
		ch.tell(want, inUse)
		if err != nil || !changed {
			return err
		}
	}
	return nil
}

// online is for how long since the last look we were online, as far as somebody
// witnesses it: a relay that serves, a contact's device, or the DHT, which is asked for that.
func (ch *chooser) online(ctx context.Context, s situation) (time.Duration, error) {
	now := time.Now()
	since := ch.observed
	witness := ch.c.Connected() > 0
	for _, r := range s.inUse {
		witness = witness || ch.c.serves(r.Peer).well
	}
	if witness {
		ch.observed = now
		if since.IsZero() {
			return 0, nil
		}
		// A computer that slept was not online; nor is a clock that jumps a witness.
		return min(now.Sub(since).Abs(), 2*ch.pace.Look), nil
	}
	if !ch.maySeek() || len(s.inUse) == 0 {
		return 0, nil
	}
	before := ch.answered
	err := ch.seek(ctx)
	ch.observed = now
	if err != nil || ch.answered.Equal(before) || before.Before(now.Add(-2*lookLast)) {
		return 0, err
	}
	if since.After(before) {
		before = since
	}
	return now.Sub(before), nil // it answered then too
}

// observe reckons for how long relays did not serve while we were online.
func (ch *chooser) observe(ctx context.Context, s situation) error {
	passed, err := ch.online(ctx, s)
	if err != nil {
		return err
	}
	for _, r := range s.inUse {
		saved := s.tests[r.Peer].Down
		down, known := ch.down[r.Peer]
		if !known {
			down = saved
		}
		serves := ch.c.serves(r.Peer)
		switch {
		case serves.steady:
			down = 0
		case !serves.well: // else it may be about to end the connection, as ever
			down += passed
		}
		ch.down[r.Peer] = down
		if serves.steady && saved > 0 || down-saved >= downSaved || saved < ch.pace.Down && down >= ch.pace.Down {
			if err := ch.saveDown(ctx, r.Peer, down); err != nil {
				return err
			}
		}
	}
	return nil
}

func (ch *chooser) saveDown(ctx context.Context, relay store.PeerID, down time.Duration) error {
	return ch.c.update(ctx, func(t *turn) error {
		test, err := t.RelayTest(relay)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		test.Relay, test.Down = relay, down.Truncate(time.Millisecond)
		return t.PutRelayTest(test)
	})
}

// judge says of each relay in use whether it does its work, and tells of changes.
func (ch *chooser) judge(s situation) (inUse []chosen) {
	operators := make(map[store.PeerID]string)
	for _, c := range s.candidates {
		operators[c.Peer] = c.Operator
	}
	fails := make(map[store.PeerID]problem.Code)
	for _, r := range s.inUse {
		c := chosen{
			id: r.Peer, hand: r.Source == store.RelayByHand || r.Source == store.RelayByFlag, added: r.Added,
			where: cornerOf(operators[r.Peer], multiaddrs(r.Addrs)),
			fault: faultOf(s.faults[r.Peer], ch.down[r.Peer], ch.c.serves(r.Peer).slow, ch.pace),
		}
		if c.fault != "" {
			fails[r.Peer] = c.fault
		}
		inUse = append(inUse, c)
	}
	ch.mu.Lock()
	before := ch.fails
	ch.fails = fails
	ch.mu.Unlock()
	for _, r := range s.inUse {
		if before[r.Peer] == fails[r.Peer] {
			continue
		}
		v := ch.c.relayState(r)
		e := api.Event{Event: api.EventRelay, At: api.Time{Time: time.Now()}, Relay: v.Relay, Addrs: v.Addrs, State: v.State, Reason: v.Reason}
		if why := fails[r.Peer]; why != "" {
			ch.c.log.Warn("a relay of this account fails", "why", why.Error(), "source", string(r.Source))
			ch.c.log.Debug("it is", "relay", peer.ID(r.Peer))
			e.State, e.Reason = relayFailing, Reason(string(why))
		}
		ch.c.events.emit(e)
	}
	return inUse
}

// failing is why a relay should go, if it should.
func (ch *chooser) failing(relay store.PeerID) problem.Code {
	if ch == nil {
		return ""
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.fails[relay]
}

// tell keeps what status says.
func (ch *chooser) tell(want change, inUse []chosen) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.work, ch.alike, ch.lacking = 0, alike(inUse), want.add
	for _, c := range inUse {
		if c.fault == "" {
			ch.work++
		}
	}
	if !want.add {
		ch.why = ""
	}
}

func (ch *chooser) because(why string) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.why = why
}

// Choice is how the choice of relays stands; nil: they are not chosen.
func (c *Chat) Choice() *api.Choice {
	ch := c.choice
	if ch == nil {
		return nil
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	v := &api.Choice{Wanted: keptWanted, Working: ch.work, Alike: ch.alike, Seeking: ch.lacking}
	if ch.work < keptWanted {
		v.Reason = Reason(string(problem.FewOwnRelays))
		if ch.lacking && ch.why != "" {
			v.Reason = problem.Newf(problem.FewOwnRelays, "%s", ch.why).Error()
		}
	}
	return v
}

func (ch *chooser) maySeek() bool { return ch.from != nil && !time.Now().Before(ch.looks.until) }

// seek looks for relays and keeps those found as candidates.
func (ch *chooser) seek(ctx context.Context) error {
	ch.looked = time.Now()
	ch.looks.failed(time.Now()) // also when some are found: not again so soon
	found, err := ch.from.FindRelays(ctx, findRelays)
	if err != nil {
		ch.because("nobody in the DHT answers")
		ch.c.log.Debug("no relays were found", "err", err)
		return ctx.Err()
	}
	ch.answered = time.Now()
	ch.because("the DHT tells of no other relay that can be used")
	return ch.c.update(ctx, func(t *turn) error { return ch.c.noteCandidates(t, store.RelayByDHT, "", found) })
}

// add finds one more relay and uses it, and says whether something changed.
func (ch *chooser) add(ctx context.Context, s situation, inUse []chosen, want change) (bool, error) {
	stay := slices.DeleteFunc(slices.Clone(inUse), func(c chosen) bool { return c.id == want.drop })
	list := inOrder(time.Now(), s.candidates, stay)
	if len(list) < trials && ch.maySeek() {
		if err := ch.seek(ctx); err != nil {
			return false, err
		}
		now, err := ch.read(ctx)
		if err != nil {
			return false, err
		}
		list = inOrder(time.Now(), now.candidates, stay)
	}
	for _, candidate := range list[:min(len(list), trials)] {
		if slices.ContainsFunc(inUse, func(c chosen) bool { return c.id == candidate.Peer }) {
			continue
		}
		seed, err := ch.try(ctx, candidate)
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if err == nil {
			ch.looks.reset()
			return true, ch.apply(ctx, &addition{candidate, seed}, want.drop)
		}
		ch.c.log.Debug("a relay was tried in vain", "relay", peer.ID(candidate.Peer), "err", err)
		if errors.Is(err, errUnsuited) {
			candidate.Failed = max(candidate.Failed, 7) // what it says of itself does not change by the hour
		}
		candidate.Retry = time.Now().Add(min(trialFirst<<min(candidate.Failed, 10), trialLast))
		candidate.Failed++
		if err := ch.c.update(ctx, func(t *turn) error { return t.PutCandidate(candidate) }); err != nil {
			return false, err
		}
	}
	if want.alone {
		return true, ch.apply(ctx, nil, want.drop)
	}
	if ch.from == nil {
		ch.because("no invitation named another that can be used")
	}
	return false, nil
}

// addition is a relay that passed its trial, and the seed of the box there.
type addition struct {
	store.Candidate
	box [32]byte
}

// apply uses one more relay, gives one up, or both, in one turn.
func (ch *chooser) apply(ctx context.Context, add *addition, drop store.PeerID) error {
	c := ch.c
	return c.update(ctx, func(t *turn) error {
		if drop != "" {
			r, err := t.Relay(drop)
			if err != nil || !r.Removed.IsZero() {
				return ignore(err, store.ErrNotFound) // somebody was faster
			}
			why := ch.failing(drop)
			if err := c.giveUpRelay(t, r); err != nil {
				return err
			}
			raw, err := t.now.MarshalBinary()
			if err != nil {
				return err
			}
			if err := t.PutSetting(relaysSetting, raw); err != nil {
				return err
			}
			t.then(func() {
				words := "there are enough others"
				if why != "" {
					words = why.Error()
				}
				c.log.Warn("a relay of this account is given up", "why", words, "replaced", add != nil)
				c.log.Debug("it is", "relay", peer.ID(drop))
			})
		}
		if add != nil {
			if _, err := t.Relay(add.Peer); !errors.Is(err, store.ErrNotFound) {
				return err // it was added by hand meanwhile
			}
			r := store.Relay{Peer: add.Peer, Addrs: add.Addrs, Source: add.Source, Box: add.box, Added: t.now}
			if err := t.PutRelay(r); err != nil {
				return err
			}
			t.then(func() {
				c.log.Info("another relay keeps mail for this account", "source", string(r.Source))
				c.startBox(r)
			})
		}
		return c.tellQueues(t)
	})
}

// giveUpRelay notes that a relay is used no more, and has its box drained. Its contacts
// are told by tellQueues.
func (c *Chat) giveUpRelay(t *turn, r store.Relay) error {
	if err := errors.Join(t.RemoveRelay(r.Peer, t.now), t.ResumeQueues(r.Peer), t.LeaveQueues(c.me, t.now)); err != nil {
		return err
	}
	r.Removed = t.now
	t.then(func() {
		c.startBox(r)
		v := relayView(r)
		c.events.emit(api.Event{Event: api.EventRelay, At: api.Time{Time: t.now}, Relay: v.Relay, Addrs: v.Addrs, State: relayDraining})
	})
	if c.choice == nil || r.Friend != nil {
		return nil
	}
	t.then(c.choice.again)
	return t.PutCandidate(store.Candidate{Peer: r.Peer, Addrs: r.Addrs, Source: store.RelayByHand, Seen: r.Added, Heard: t.now, Retry: t.now.Add(barredFor)})
}

// noteCandidates keeps relays that were told of.
func (c *Chat) noteCandidates(t *turn, source store.RelaySource, operator string, found []peer.AddrInfo) error {
	all, err := t.Candidates()
	if err != nil {
		return err
	}
	relays, err := t.Relays()
	if err != nil {
		return err
	}
	known := make(map[store.PeerID]store.Candidate)
	for _, k := range all {
		used := slices.ContainsFunc(relays, func(r store.Relay) bool { return r.Peer == k.Peer })
		if !used && k.Retry.Before(t.now) && t.now.Sub(k.Heard) > staleCandidate {
			if err := t.DeleteCandidate(k.Peer); err != nil {
				return err
			}
			continue
		}
		known[k.Peer] = k
	}
	for _, at := range found {
		id := store.PeerID(at.ID)
		var addrs [][]byte
		for _, a := range at.Addrs {
			if node.AllowedAddr(c.node.Mode(), a) && len(addrs) < identity.MaxAddrs && len(a.Bytes()) <= identity.MaxAddrSize {
				addrs = append(addrs, a.Bytes())
			}
		}
		k, old := known[id]
		if len(addrs) == 0 {
			continue
		}
		if !old && len(known) >= store.MaxCandidates {
			last, ok := crowded(known, addrs, relays)
			if !ok {
				continue
			}
			if err := t.DeleteCandidate(last); err != nil {
				return err
			}
			delete(known, last)
		}
		if !old {
			k = store.Candidate{Peer: id, Source: source, Seen: t.now}
		}
		if operator != "" {
			k.Operator = operator
		}
		k.Addrs, k.Heard = addrs, t.now
		known[id] = k
		if err := t.PutCandidate(k); err != nil {
			return err
		}
	}
	return nil
}

// crowded is the candidate that makes room for one at some addresses: of the group of
// addresses that has most of them the one that was found last, if that group has more than
// one more than the newcomer's. Else a single corner of the network, found first, could
// keep out all others.
func crowded(known map[store.PeerID]store.Candidate, addrs [][]byte, inUse []store.Relay) (last store.PeerID, ok bool) {
	groupOf := func(addrs [][]byte) (g netip.Prefix) {
		if list := multiaddrs(addrs); len(list) > 0 {
			g = node.GroupOf(list[0])
		}
		return g
	}
	members := make(map[netip.Prefix]int)
	for _, k := range known {
		members[groupOf(k.Addrs)]++
	}
	most := 0
	for _, n := range members {
		most = max(most, n)
	}
	if most <= members[groupOf(addrs)]+1 {
		return "", false
	}
	for id, k := range known {
		used := slices.ContainsFunc(inUse, func(r store.Relay) bool { return r.Peer == id })
		if members[groupOf(k.Addrs)] == most && !used && (!ok || k.Seen.After(known[last].Seen) || k.Seen.Equal(known[last].Seen) && id > last) {
			last, ok = id, true
		}
	}
	return last, ok
}

// noteHints keeps the relays that an invitation names as candidates. Who made it is
// taken to run them: they may be one person's.
func (c *Chat) noteHints(t *turn, from identity.AccountID, hints []identity.Hint) error {
	if c.choice == nil {
		return nil
	}
	var found []peer.AddrInfo
	for _, h := range hints {
		if h.Kind == identity.HintRelay {
			found = append(found, peer.AddrInfo{ID: peer.ID(h.Peer), Addrs: multiaddrs(h.Addrs)})
		}
	}
	t.then(c.choice.again)
	return c.noteCandidates(t, store.RelayByInvitation, string(from[:]), found)
}

// errTrial says that a candidate did not do what a relay is for.
var errTrial = errors.New("chat: the relay failed its trial")

// errUnsuited says that a relay is of no use to us, whether it does its work or not.
var errUnsuited = errors.New("chat: the relay does not suit")

const (
	// leastKeep and leastBox are for how long, and how much, a relay must keep that is chosen; who is given one by hand may
	// do with less.
	leastKeep, leastBox = 7 * 24 * time.Hour, 4 << 20
)

// suits looks at what a candidate says of itself, before anything is asked of it: whether we can have a box there, and one
// that has room for what our contacts leave while we are away for a week. The error wraps errUnsuited.
func (ch *chooser) suits(ctx context.Context, l mailbox.Limits) error {
	var contacts int
	err := ch.c.store.View(ctx, func(tx *store.Tx) error {
		devices, err := servedDevices(tx)
		contacts = len(devices)
		return err
	})
	switch queues := (contacts + 1) * (mailbox.DescriptorEpochs + 1); {
	case err != nil:
		return err
	case !slices.Contains(l.Leases, mailbox.LeaseOpen) && !slices.Contains(l.Leases, mailbox.LeaseWork):
		return fmt.Errorf("%w: %w", errUnsuited, errNoToken)
	case l.MaxTTL < leastKeep:
		return fmt.Errorf("%w: it keeps mail for %v", errUnsuited, l.MaxTTL)
	case uint64(l.BoxQueues) < uint64(queues):
		return fmt.Errorf("%w: it opens %d queues, not the %d of all contacts", errUnsuited, l.BoxQueues, queues)
	case l.BoxBytes < leastBox:
		return fmt.Errorf("%w: it keeps %d bytes", errUnsuited, l.BoxBytes)
	}
	return nil
}

// try has a candidate keep a cell of ours and give it back, before anybody is told of
// it, and returns the seed of the box that it leased.
func (ch *chooser) try(ctx context.Context, k store.Candidate) (seed [32]byte, err error) {
	at := peer.AddrInfo{ID: peer.ID(k.Peer), Addrs: multiaddrs(k.Addrs)}
	h, release, err := ch.c.boxPool.Host(ctx, "trial "+string(k.Peer))
	if err != nil {
		return seed, err
	}
	defer release()
	h2, release2, err := ch.c.pool.Host(ctx, "trial "+string(k.Peer))
	if err != nil {
		return seed, err
	}
	defer release2()
	ctx, cancel := context.WithTimeout(ctx, trialTime)
	defer cancel()
	reader, err := mailbox.Dial(ctx, h, at)
	if err != nil {
		return seed, err
	}
	defer reader.Close()
	if err := ch.suits(ctx, reader.Limits()); err != nil {
		return seed, err
	}
	writer, err := mailbox.Dial(ctx, h2, at)
	if err != nil {
		return seed, err
	}
	defer writer.Close()
	box := mailbox.GenerateBox()
	if _, err := reader.Login(ctx, box); err != nil {
		return seed, fmt.Errorf("login: %w", err)
	}
	if _, err := reader.Lease(ctx, box.Public(), nil); err != nil {
		return seed, fmt.Errorf("lease: %w", err)
	}
	d, err := mailbox.NewDescriptor(at, reader.Now(), reader.Limits())
	if err != nil {
		return seed, err
	}
	queue := d.Queue(reader.Epoch())
	if err := reader.Open(ctx, mailbox.Ordinary, reader.Now().Add(time.Hour), queue.Write.QID()); err != nil {
		return seed, fmt.Errorf("open: %w", err)
	}
	message := make([]byte, testSize)
	rand.Read(message)
	cell, err := queue.Key.Seal(message)
	if err != nil {
		return seed, err
	}
	if _, err := writer.Put(ctx, queue.Write, cell, time.Hour); err != nil {
		return seed, fmt.Errorf("put: %w", err)
	}
	id := mailbox.IDOf(cell)
	if entries, _, err := reader.List(ctx, 0); err != nil || len(entries) != 1 || entries[0].Cell != id {
		return seed, errors.Join(errTrial, err)
	}
	if _, err := reader.Get(ctx, id); err != nil {
		return seed, fmt.Errorf("get: %w", err)
	}
	if _, err := reader.Ack(ctx, id); err != nil {
		return seed, fmt.Errorf("ack: %w", err)
	}
	if entries, _, err := reader.List(ctx, 0); err != nil || len(entries) != 0 {
		return seed, errors.Join(errTrial, err)
	}
	if err := reader.CloseQueues(ctx, queue.Write.QID()); err != nil {
		return seed, fmt.Errorf("close: %w", err)
	}
	return box.Seed(), nil
}
