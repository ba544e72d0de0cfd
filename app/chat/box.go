package chat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

const (
	// getsAtOnce is how many cells are fetched at once, and takenAtOnce how
	// many of them share one turn.
	getsAtOnce, takenAtOnce = 64, 256
	// leaseAhead is how long before its end a lease is renewed, or half its
	// time if that is less, but not within leasePause.
	leaseAhead, leasePause = 7 * 24 * time.Hour, time.Hour
	// lingerFor is how long a queue stays open for deposits that were under way
	// when its device acknowledged a newer one.
	lingerFor = 24 * time.Hour
	// generations is how many queues stay open that a device was told of and did not
	// acknowledge, besides the one that it knows: it has been away, and hears of all at once.
	generations = 3
	// boxFirst and boxLast bound the pauses between tries to reach a relay of
	// ours, and boxDropped those between connections that end as soon as they begin:
	// unlike a call that nobody answers, each costs a handshake.
	boxFirst, boxLast, boxDropped = 500 * time.Millisecond, 2 * time.Minute, 10 * time.Minute
	// friendLast is the longest pause for a friend's computer.
	friendLast = 10 * time.Minute
	// boxHeld is how long a connection holds that shows more than that somebody answers.
	boxHeld = time.Minute
	// visitTime and visitEvery are how long and how often a relay that was given
	// up is visited while there are more boxes than hosts to attend them.
	visitTime, visitEvery = 30 * time.Second, 10 * time.Minute
)

// The states of a relay of ours, as api.Relay tells them.
const (
	relayConnecting  = "connecting"
	relayConnected   = "connected"
	relayUnreachable = "unreachable"
	relayRefused     = "refused"
	relayDraining    = "draining"
	relayFailing     = "failing" // in events: it does not do its work, see chooser
)

var (
	// errVisited says that a box left to make room for others.
	errVisited = errors.New("chat: visited")
	// errNoToken and errBadToken say in a person's words why a relay keeps no mail of ours.
	errNoToken  = errors.New("it keeps mail only for those who have a token of its operator")
	errBadToken = errors.New("it does not take the token: ask its operator for another")
)

// box collects what waits for us at one relay of ours, and has the relay open
// what others may write to. One goroutine owns it.
type box struct {
	c     *Chat
	relay store.Relay
	poke  chan struct{} // capacity 1: there is something to open, post or close
	stop  context.CancelFunc
	over  chan struct{} // closed: it is of no more use, and given back if it is connected
	door  *door
	told  time.Time // when contacts were told through whom it is reached; zero: not in this run

	strangers allowance // of flights that strangers left there

	mu     sync.Mutex
	state  string
	reason string
	since  time.Time // when the relay was reached; zero: it is not
	empty  bool      // given up, and nothing can be there any more
	terms  *terms    // what the relay said of itself; nil: it was not reached in this run

	probing probing
}

// terms are what a relay says of itself, and what paid for the box.
type terms struct {
	limits mailbox.Limits
	more   mailbox.Allowance
	token  bool
}

// learn asks the relay on what terms it keeps mail, to be told in descriptors.
func (b *box) learn(ctx context.Context, client *mailbox.Client) error {
	s := &terms{limits: client.Limits()}
	s.token = len(b.relay.Lease) > 0 && slices.Contains(s.limits.Leases, mailbox.LeaseToken)
	var err error
	refused := new(mailbox.Refusal)
	if s.more, err = client.Allowance(ctx); err != nil && !errors.Is(err, mailbox.ErrOlder) && !errors.As(err, &refused) {
		return fmt.Errorf("terms: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.terms = s
	return nil
}

// run keeps the box connected until the context ends.
func (b *box) run(ctx context.Context) {
	wait := pause{first: boxFirst}
	dropped := 0 // how many connections in a row did not hold
	for ctx.Err() == nil {
		err := b.attend(ctx)
		reached, held := b.leave()
		select {
		case <-ctx.Done():
			return
		case <-b.over:
			return
		default:
		}
		if err == nil || held >= boxHeld || errors.Is(err, errVisited) {
			wait.reset()
			dropped = 0
		}
		if err == nil {
			continue
		}
		if errors.Is(err, errVisited) {
			select {
			case <-ctx.Done():
			case <-time.After(visitEvery):
			}
			continue
		}
		b.c.log.Debug("a relay cannot be used", "relay", peer.ID(b.relay.Peer), "err", err)
		wait.last = boxLast
		if b.relay.Friend != nil {
			wait.last = friendLast // it is off, as it may be; see Chat.online
		}
		if reached && held < boxHeld {
			wait.last = boxDropped
			dropped++
		}
		state, words := relayUnreachable, why(err)
		if refused := new(mailbox.Refusal); errors.As(err, &refused) || errors.Is(err, errNoToken) || errors.Is(err, errBadToken) {
			state = relayRefused
		} else if dropped > 1 {
			words = fmt.Sprintf("%s: %d in a row ended as soon as they began, so it is called less and less often", words, dropped)
		}
		b.set(state, words)
		wait.failed(time.Now())
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(wait.until)):
		}
	}
}

// reach notes that the relay was reached.
func (b *box) reach() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.since = time.Now()
}

// leave notes that there is no connection any more, and returns whether there was one, and
// for how long.
func (b *box) leave() (reached bool, held time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if reached = !b.since.IsZero(); reached {
		held = time.Since(b.since)
	}
	b.since = time.Time{}
	return reached, held
}

func (b *box) set(state, reason string) {
	b.mu.Lock()
	changed := b.state != state
	b.state, b.reason = state, reason
	b.mu.Unlock()
	if changed {
		v := b.view()
		b.c.events.emit(api.Event{Event: api.EventRelay, At: api.Time{Time: time.Now()}, Relay: v.Relay, Addrs: v.Addrs, State: v.State, Reason: v.Reason})
	}
}

func (b *box) view() api.Relay {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := relayView(b.relay)
	v.State, v.Reason = b.state, b.reason
	return v
}

// attend is one connection: login, lease, open what is to be opened, and take
// what comes until it ends. It returns nil when it is time to prolong the lease,
// which a relay allows once in a connection.
func (b *box) attend(ctx context.Context) error {
	client, end, err := b.dial(ctx)
	if err != nil {
		return err
	}
	defer end()
	b.reach()
	if err := b.learn(ctx, client); err != nil {
		return err
	}
	leased, err := b.enter(ctx, client)
	if err != nil {
		return err
	}
	if err := b.beginTest(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	b.door = newDoor() // all that waits is told anew
	defer watch.Wait()
	defer cancel(nil)
	watch.Go(func() {
		cancel(client.Watch(ctx, 0, func(news []mailbox.Entry) error { return b.collect(ctx, client, news) }))
	})
	watch.Go(func() { cancel(b.answer(ctx, client)) })
	if err := b.sync(ctx, client); err != nil {
		return err
	}
	if err := b.lookIfEmpty(ctx, client); err != nil {
		return err
	}
	b.set(relayConnected, "")
	if b.tested() {
		watch.Go(func() { b.test(ctx, client) })
	}
	due := leased - leaseAhead
	if due <= 0 {
		due = leased / 2
	}
	prolong := time.NewTimer(max(due, leasePause))
	defer prolong.Stop()
	ask, pause := time.NewTimer(0), routesFirst
	defer ask.Stop()
	var visited <-chan time.Time
	if !b.relay.Removed.IsZero() {
		visit := time.NewTicker(visitTime)
		defer visit.Stop()
		visited = visit.C
	}
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-prolong.C:
			cancel(nil)
			return nil
		case <-ask.C:
			all, err := b.routes(ctx, client)
			if err != nil {
				cancel(err)
				return err
			}
			if all {
				pause = routesLast
			}
			ask.Reset(pause)
			pause = min(2*pause, routesLast)
		case <-b.over:
			b.giveBack(ctx, client)
			cancel(nil)
			return nil
		case <-visited:
			if b.c.crowded() {
				cancel(nil)
				return errVisited
			}
		case <-b.poke:
			if err := errors.Join(b.sync(ctx, client), b.lookIfEmpty(ctx, client)); err != nil {
				cancel(err)
				return err
			}
		}
	}
}

// returnTimeout bounds how long giving back a box may take.
const returnTimeout = 15 * time.Second

// end ends the use of the box for ever. A relay that is connected is told so, and keeps nothing of it; another
// does so until its lease has ended.
func (b *box) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.over)
	if b.state != relayConnected {
		b.stop()
	}
}

func (b *box) giveBack(ctx context.Context, client *mailbox.Client) {
	ctx, cancel := context.WithTimeout(ctx, returnTimeout)
	defer cancel()
	if err := client.Release(ctx); err != nil {
		b.c.log.Debug("a box was not given back", "relay", peer.ID(b.relay.Peer), "err", err)
	}
}

// dial connects to the relay: straight, or if that cannot be and it is the computer of a friend, which may
// stand behind a router, through another relay.
func (b *box) dial(ctx context.Context) (client *mailbox.Client, end func(), err error) {
	at := peer.AddrInfo{ID: peer.ID(b.relay.Peer), Addrs: multiaddrs(b.relay.Addrs)}
	if b.relay.Friend == nil || len(at.Addrs) > 0 {
		h, release, err := b.c.boxPool.Host(ctx, "box "+string(b.relay.Peer)+string(bytes.Join(b.relay.Addrs, nil)))
		if err != nil {
			return nil, nil, err
		}
		client, err := mailbox.Dial(ctx, h, at)
		if err == nil {
			return client, func() { client.Close(); release() }, nil
		}
		release()
		if b.relay.Friend == nil || ctx.Err() != nil {
			return nil, nil, err
		}
	}
	var routes [][]byte
	err = b.c.store.View(ctx, func(tx *store.Tx) error {
		r, err := tx.Relay(b.relay.Peer)
		routes = r.Routes
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	l, err := b.c.through(ctx, "box", at.ID, node.Hops(b.c.node.Mode(), multiaddrs(routes)), 0)
	if err != nil {
		return nil, nil, err
	}
	return l.Client, l.Close, nil
}

// enter proves the box and sees that it has a lease, for how long it says, and that
// the relay has not lost our queues.
func (b *box) enter(ctx context.Context, client *mailbox.Client) (leased time.Duration, err error) {
	key := mailbox.NewBoxPrivate(b.relay.Box)
	info, err := client.Login(ctx, key)
	if err != nil {
		return 0, fmt.Errorf("login: %w", err)
	}
	if err := b.restore(ctx, info); err != nil {
		return 0, err
	}
	if leased = info.Until.Sub(client.Now()); leased > leaseAhead && !unproven(b.relay) {
		return leased, nil
	}
	until, err := client.Lease(ctx, key.Public(), b.relay.Lease)
	if errors.Is(err, mailbox.ErrLease) && !info.Until.IsZero() {
		switch {
		case !b.relay.Removed.IsZero():
			return leased, nil // what lies there is ours until it expires
		case b.relay.Friend != nil:
			if err := b.c.endFriend(ctx, b.relay.Peer); err != nil {
				return 0, err
			}
		}
	}
	if takes := client.Limits().Leases; errors.Is(err, mailbox.ErrLease) && slices.Contains(takes, mailbox.LeaseToken) {
		switch {
		case len(b.relay.Lease) > 0:
			return 0, errBadToken
		case len(takes) == 1:
			return 0, errNoToken
		}
	}
	if err != nil {
		return 0, fmt.Errorf("lease: %w", err)
	}
	err = b.c.update(ctx, func(t *turn) error {
		r, err := t.Relay(b.relay.Peer)
		if err != nil {
			return err
		}
		first := unproven(r)
		r.LeaseUntil = until
		if err := t.PutRelay(r); err != nil || !first {
			return err
		}
		return b.c.tellQueues(t) // now it is known that a friend's computer can be used
	})
	if err != nil {
		return 0, err
	}
	b.mu.Lock()
	b.relay.LeaseUntil = until
	b.mu.Unlock()
	return until.Sub(client.Now()), nil
}

// restore has everything opened and posted anew if the relay has fewer queues of
// ours than it opened: it lost its disk, or what it said was on it.
func (b *box) restore(ctx context.Context, info mailbox.BoxInfo) error {
	var queues []store.OwnQueue
	var notices []store.InvitationRelay
	opened := 0
	err := b.c.store.View(ctx, func(tx *store.Tx) error {
		at, err := tx.OwnQueuesAt(b.relay.Peer)
		if err != nil {
			return err
		}
		for _, q := range at {
			if q.Device != nil && q.OpenedUntil > q.Epoch0 && q.OpenedUntil != store.Shut && time.Now().Before(queueEnd(q)) {
				queues = append(queues, q)
				opened++ // the catch-all
				if q.Prolonged.IsZero() {
					opened += int(q.N)
				}
			}
		}
		invitations, err := tx.Invitations()
		if err != nil {
			return err
		}
		for _, inv := range invitations {
			relays, err := tx.InvitationRelays(inv.ID)
			if err != nil {
				return err
			}
			for _, r := range relays {
				if r.Relay == b.relay.Peer && !r.Posted.IsZero() && r.Closed.IsZero() && time.Now().Before(inv.Expires) {
					notices = append(notices, r)
					opened++
				}
			}
		}
		return nil
	})
	if err != nil || int(info.Queues) >= opened {
		return err
	}
	b.c.log.Warn("a relay has lost queues; they are opened anew", "open", info.Queues, "opened", opened)
	return b.c.update(ctx, func(t *turn) error {
		for _, q := range queues {
			if err := t.SetOpened(q.ID, q.Epoch0); err != nil {
				return err
			}
		}
		for _, r := range notices {
			r.Posted = time.Time{}
			if err := t.PutInvitationRelay(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// task is something to be done at the relay, and what to note when it is done.
type task struct {
	do   func(context.Context, *mailbox.Client) error
	note func(*turn) error
}

// sync opens queues, posts and removes notices, as the store says. What was done is
// noted even if the relay did not come to the end.
func (b *box) sync(ctx context.Context, client *mailbox.Client) error {
	var tasks []task
	err := b.c.store.View(ctx, func(tx *store.Tx) (err error) {
		tasks, err = b.tasks(tx)
		return err
	})
	if err != nil || len(tasks) == 0 {
		return err
	}
	var done []task
	for _, t := range tasks {
		err = t.do(ctx, client)
		if refused := new(mailbox.Refusal); errors.As(err, &refused) {
			// The others go on, and so does the mail.
			b.c.log.Warn("a relay refused to open or to post something", "err", err)
			err = nil
			continue
		}
		if err != nil {
			break
		}
		done = append(done, t)
	}
	return errors.Join(err, b.c.update(ctx, func(t *turn) error {
		for _, one := range done {
			if err := one.note(t); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err // what it was for is not gone meanwhile either
			}
		}
		return nil
	}))
}

func (b *box) tasks(tx *store.Tx) (tasks []task, err error) {
	queues, err := tx.OwnQueuesAt(b.relay.Peer)
	if err != nil {
		return nil, err
	}
	newest := make(map[identity.DevicePublic]store.OwnQueue) // that a device has acknowledged
	later := make(map[int64]int)                             // how many newer ones its device was told of
	told := make(map[identity.DevicePublic]int)
	for _, q := range slices.Backward(queues) {
		if q.Device != nil {
			if later[q.ID] = told[*q.Device]; q.Version > 0 {
				told[*q.Device]++
			}
		}
	}
	known := make(map[identity.DevicePublic]int64) // that one, or the first that it was told of
	for _, q := range queues {                     // in the order they were made
		if q.Device == nil {
			continue
		}
		if !q.Acknowledged.IsZero() {
			newest[*q.Device] = q
		}
		if known[*q.Device] == 0 && q.Version > 0 || !q.Acknowledged.IsZero() {
			known[*q.Device] = q.ID
		}
	}
	for _, q := range queues {
		switch {
		case q.Device == nil:
		case !q.Leaving.IsZero() && !b.relay.Removed.IsZero():
			if q.OpenedUntil != store.Shut && time.Since(q.Leaving) > lingerFor {
				tasks = append(tasks, b.shut(q))
			}
		case q.ID == known[*q.Device] && q.OpenedUntil > q.Epoch0 && q.OpenedUntil != store.Shut && time.Until(queueEnd(q)) < prolongAhead:
			tasks = append(tasks, b.prolong(q))
		case time.Now().After(queueEnd(q).Add(mailbox.MaxTTL)):
			tasks = append(tasks, b.closeOver(q))
		case q.ID < newest[*q.Device].ID && time.Since(newest[*q.Device].Acknowledged) > lingerFor:
			if q.OpenedUntil != store.Shut {
				tasks = append(tasks, b.shut(q))
			}
		case q.ID != known[*q.Device] && later[q.ID] >= generations:
			if q.OpenedUntil != store.Shut {
				tasks = append(tasks, b.shut(q))
			}
		case q.OpenedUntil < q.Epoch0+q.N:
			tasks = append(tasks, b.openFor(q))
		}
	}
	closed, err := tx.ClosedQueuesAt(b.relay.Peer)
	if err != nil {
		return nil, err
	}
	for _, q := range closed {
		tasks = append(tasks, b.shut(q))
	}
	invitations, err := tx.Invitations()
	if err != nil {
		return nil, err
	}
	for _, inv := range invitations {
		at, err := tx.InvitationRelays(inv.ID)
		if err != nil {
			return nil, err
		}
		for _, r := range at {
			if r.Relay != b.relay.Peer {
				continue
			}
			known, err := identity.ParseLink(inv.Link)
			if err != nil {
				return nil, fmt.Errorf("invitation: %w", store.ErrDamaged)
			}
			switch open := inv.State == store.InvitationOpen && time.Now().Before(inv.Expires); {
			case open && (r.Posted.IsZero() || r.Posted.Before(inv.Noticed)):
				tasks = append(tasks, b.post(inv, known, r))
			case !open && !r.Posted.IsZero() && r.Closed.IsZero():
				tasks = append(tasks, b.unpost(inv, known, r))
			}
		}
	}
	return tasks, nil
}

// openFor opens the queues of a contact's device.
func (b *box) openFor(q store.OwnQueue) task {
	ids := b.queueIDs(q)
	return task{
		func(ctx context.Context, client *mailbox.Client) error {
			// Our clock may have been wrong when the queue was made: the relay's
			// says what is past, and how far ahead it opens.
			until, now := queueEnd(q), client.Now()
			if last := now.Add(mailbox.MaxUntil - time.Minute); until.After(last) {
				until = last
			}
			if !until.After(now) {
				return nil
			}
			return client.Open(ctx, mailbox.Ordinary, until, ids...)
		},
		func(t *turn) error { return t.SetOpened(q.ID, q.Epoch0+q.N) },
	}
}

// shut has the relay take nothing more for a queue that is used no more, or in whose
// place the device has a newer one. A box has room for some 16,000 queues, and 15 generations of 46 for
// each contact would fill it. What lies in it already is still read.
func (b *box) shut(q store.OwnQueue) task {
	ids := b.queueIDs(q)
	return task{
		func(ctx context.Context, client *mailbox.Client) error { return client.CloseQueues(ctx, ids...) },
		func(t *turn) error { return t.SetOpened(q.ID, store.Shut) },
	}
}

// queueIDs are the names of a queue in all its epochs.
func (b *box) queueIDs(q store.OwnQueue) (ids []mailbox.QID) {
	for _, queue := range ownDescriptor(q, b.relay).Queues() {
		ids = append(ids, queue.Write.QID())
	}
	return ids
}

// closeOver forgets a queue that nobody can have left anything in for long, if the
// relay's clock agrees: what is in a queue that we do not know is thrown away.
func (b *box) closeOver(q store.OwnQueue) task {
	over := false
	return task{
		func(_ context.Context, client *mailbox.Client) error {
			over = client.Now().After(queueEnd(q).Add(mailbox.MaxTTL))
			return nil
		},
		func(t *turn) error {
			if !over {
				return nil
			}
			return errors.Join(t.SetOpened(q.ID, store.Shut), t.CloseQueue(q.ID, t.now))
		},
	}
}

// post opens an invitation's queue and leaves its notice.
func (b *box) post(inv store.Invitation, known identity.Invitation, r store.InvitationRelay) task {
	return task{
		func(ctx context.Context, client *mailbox.Client) error {
			key, err := mailbox.NewWriteKey(peer.ID(r.Relay), mailbox.CatchAll, known.WriteKey([]byte(r.Relay)))
			if err != nil {
				return err
			}
			class, until := mailbox.Invite, inv.Expires.Add(24*time.Hour)
			if inv.Kind == identity.Reusable {
				class = mailbox.Intro
			}
			if last := client.Now().Add(mailbox.MaxUntil - time.Minute); until.After(last) {
				until = last // it is opened for longer with the next notice
			}
			if err := client.Open(ctx, class, until, key.QID()); err != nil {
				return err
			}
			ttl := min(max(time.Until(inv.Expires).Truncate(time.Second), time.Second), client.Limits().MaxTTL)
			_, err = client.Post(ctx, mailbox.NoticeID(known.NoticeID()), inv.Notice, ttl)
			return err
		},
		func(t *turn) error {
			r.Posted = t.now
			return t.PutInvitationRelay(r)
		},
	}
}

// unpost removes the notice of an invitation that is over. The queue of a used
// one stays until its time: its flights go on until our answer arrived. That of
// a revoked one is closed.
func (b *box) unpost(inv store.Invitation, known identity.Invitation, r store.InvitationRelay) task {
	return task{
		func(ctx context.Context, client *mailbox.Client) error {
			if inv.State == store.InvitationRevoked {
				key, err := mailbox.NewWriteKey(peer.ID(r.Relay), mailbox.CatchAll, known.WriteKey([]byte(r.Relay)))
				if err != nil {
					return err
				}
				if err := client.CloseQueues(ctx, key.QID()); err != nil {
					return err
				}
			}
			return client.Unpost(ctx, mailbox.NoticeID(known.NoticeID()))
		},
		func(t *turn) error {
			r.Closed = t.now
			return t.PutInvitationRelay(r)
		},
	}
}

// collect fetches cells, keeps what is in them, and only then has the relay
// delete them.
func (b *box) collect(ctx context.Context, client *mailbox.Client, news []mailbox.Entry) error {
	news, err := b.sort(ctx, b.recognize(news))
	if err != nil {
		return err
	}
	for len(news) > 0 {
		n := min(len(news), takenAtOnce)
		cells, err := b.get(ctx, client, news[:n])
		if err != nil {
			return err
		}
		done, err := b.take(ctx, cells)
		if err != nil {
			return err
		}
		if _, err := client.Ack(ctx, done...); err != nil {
			return err
		}
		for _, c := range cells {
			if c.later != nil {
				return c.later // and the rest, too: it is all asked for anew on the next connection
			}
		}
		news = news[n:]
	}
	return nil
}

// came is a cell that was fetched.
type came struct {
	mailbox.Entry
	cell  []byte // nil: the relay does not give it
	stays bool   // the relay may have it nevertheless
	later error  // it gives it at another time
}

func (b *box) get(ctx context.Context, client *mailbox.Client, entries []mailbox.Entry) ([]came, error) {
	cells := make([]came, len(entries))
	errs := make([]error, len(entries))
	slots := make(chan struct{}, getsAtOnce)
	var wait sync.WaitGroup
	for i, e := range entries {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			cells[i].Entry = e
			cells[i].cell, errs[i] = client.Get(ctx, e.Cell)
			if refused := new(mailbox.Refusal); errors.As(errs[i], &refused) || errors.Is(errs[i], mailbox.ErrMalformed) {
				// What the relay has lost is none of ours to keep; what it
				// cannot read now stays there. Neither holds up the rest.
				cells[i].stays = !errors.Is(errs[i], mailbox.ErrNotFound)
				if errors.Is(errs[i], mailbox.ErrTryLater) {
					cells[i].later = fmt.Errorf("fetch: %w", errs[i])
				}
				errs[i] = nil
			}
		})
	}
	wait.Wait()
	return cells, errors.Join(errs...)
}

// take keeps what is in cells and says which the relay may delete.
func (b *box) take(ctx context.Context, cells []came) (done []mailbox.CellID, err error) {
	arrivals := make([]*arrival, len(cells))
	flights := make([]bool, len(cells))
	err = b.c.store.View(ctx, func(tx *store.Tx) error {
		for i, cm := range cells {
			if cm.cell == nil {
				continue
			}
			if arrivals[i], flights[i], err = b.open(tx, cm); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	keep := make([]bool, len(cells))
	err = b.c.update(ctx, func(t *turn) error {
		clear(keep)
		for i, a := range arrivals {
			if a == nil {
				continue
			}
			_, err := b.c.take(t, *a)
			switch {
			case errors.Is(err, errTooFar), errors.Is(err, errNotFromYou):
				// It stays at the relay until the session is begun anew, or
				// the contact is no longer blocked: its author was told that
				// it is kept.
				keep[i] = true
			case errors.Is(err, errUnreadable):
				if err := b.aside(t, *a); err != nil {
					return err
				}
			case err == nil:
			default:
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, cm := range cells {
		if flights[i] {
			if keep[i], err = b.flight(ctx, cm.cell); err != nil {
				return nil, err
			}
		}
		if !keep[i] && !cm.stays {
			done = append(done, cm.Cell)
		}
	}
	return done, nil
}

// open finds whose queue a cell was in and takes the mailbox's seal off.
func (b *box) open(tx *store.Tx, cm came) (a *arrival, flight bool, err error) {
	q, epoch, err := tx.QueueByID(store.QueueID(cm.Queue))
	if errors.Is(err, store.ErrNotFound) {
		b.c.log.Warn("a relay holds a cell of a queue that is not ours")
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if q.Invitation != nil {
		return nil, true, nil
	}
	if *q.Device == b.c.me {
		return nil, false, nil // a test cell that we do not know of any more
	}
	wire, err := ownDescriptor(q, b.relay).Queue(epoch).Key.Open(cm.cell)
	if err != nil {
		b.c.log.Warn("a cell does not open", "err", err)
		return nil, false, nil
	}
	return &arrival{device: *q.Device, wire: wire, relay: b.relay.Peer}, false, nil
}

// aside keeps what no session opens: a session may have been lost here, and the
// relay's copy is about to go.
func (b *box) aside(t *turn, a arrival) error {
	b.c.log.Warn("a message that no session opens was set aside")
	return t.SetAside(store.Aside{Hash: messageHash(a.wire), Device: &a.device, Relay: a.relay, Wire: a.wire, Reason: string(problem.SessionLost), At: t.now})
}

// flight takes a first flight. What is wrong with it is its author's affair; an
// error means that it could not be kept here. One of somebody who is blocked is to
// stay at the relay.
func (b *box) flight(ctx context.Context, cell []byte) (stays bool, err error) {
	err = b.c.firstContact(ctx, cell, origin{relay: b.relay.Peer})
	if refusal(err) {
		b.c.log.Info("a first flight was not taken", "err", err)
		return errors.Is(err, errNotFromYou), nil
	}
	return false, err
}

// refusal says whether an error of take or takeFlight is the message's own fault.
func refusal(err error) bool {
	for _, is := range []error{errUnreadable, errUsed, errNotFromYou, errTooFar, errAsked, errCrowded} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

// relayView is a relay of ours as the API tells it, but for its state.
func relayView(r store.Relay) api.Relay {
	v := api.Relay{Relay: peer.ID(r.Peer).String(), State: "unknown", Source: string(r.Source), Since: api.Time{Time: r.Added}}
	for _, a := range multiaddrs(r.Addrs) {
		v.Addrs = append(v.Addrs, a.String()+"/p2p/"+v.Relay)
	}
	return v
}
