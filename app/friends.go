package app

import (
	"cmp"
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/chat"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/relay"
)

// A relay on this computer keeps mail for the account's contacts, for as long as the account
// runs and it is wanted. It has the relay's directory of the profile and a key of its own; that it
// is this account's only those learn who are told so in a session (app/chat, friends.go).
// Who has no relay at all keeps the own mail there too, so that invitations can be left somewhere.

const (
	// friendsSetting is where it is kept what the person wants, as JSON.
	friendsSetting = "friends/relay"
	// friendsEvery is how often it is looked whether contacts or addresses are others, on one
	// computer alone friendsHere, and friendsRetry how soon after a failure it is started again.
	friendsEvery, friendsHere, friendsRetry = 5 * time.Second, 500 * time.Millisecond, time.Minute
	// What is given unless the person says otherwise.
	friendsDisk, friendsShare, friendsDays, friendsDaily = 1 << 30, 64 << 20, 30, 1 << 30
	// Bounds of that.
	minFriendsDisk, minFriendsShare, maxFriendsDisk, minFriendsDaily = 64 << 20, 1 << 20, 1 << 40, 16 << 20
)

// wish is what the person wants.
type wish struct {
	On      bool      `json:"on"`
	Own     bool      `json:"own"` // the own mail is kept there, too
	MaxDisk int64     `json:"max_disk"`
	Share   int64     `json:"share"`
	Days    int       `json:"days"`
	Daily   int64     `json:"daily"`          // bytes that may come and go in a day; 0: of an earlier version, friendsDaily
	Secret  []byte    `json:"secret"`         // 32; from which tokens follow
	Until   time.Time `json:"until,omitzero"` // it is being given up
	But     but       `json:"but,omitempty"`  // contacts for whom nothing is kept
}

// but is a chat.But as JSON has it.
type but map[string]time.Time

// of are the accounts.
func (b but) of() chat.But {
	all := make(chat.But)
	for text, until := range b {
		if a, err := identity.ParseAccountID(text); err == nil { // it was written by String
			all[a] = until
		}
	}
	return all
}

// friendsRelay runs the relay as it is wished. Its mutex is held for each step.
type friendsRelay struct {
	a *App

	mu    sync.Mutex
	ctx   context.Context // of Run; nil before it and after
	poke  chan struct{}   // capacity 1: contacts are others
	parts sync.WaitGroup
	up    *relay.Relay // nil: it does not run
	end   func()       // ends it and waits until it has
	ended chan error   // capacity 1
	as    relay.Limits // as it was told last
	at    string       // where the own box was put last
	fails error        // why it does not run
	retry time.Time
}

// run keeps the relay as it is wished until the context ends.
func (f *friendsRelay) run(ctx context.Context) {
	f.mu.Lock()
	f.ctx = ctx
	f.mu.Unlock()
	every := friendsEvery
	if f.a.cfg.Network == config.Loopback {
		every = friendsHere
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		f.mu.Lock()
		if err := f.step(ctx); err != nil && ctx.Err() == nil {
			f.a.log().Error("the relay for friends is not as it should be", "err", err)
		}
		f.mu.Unlock()
		select {
		case <-ctx.Done():
			f.mu.Lock()
			f.stop()
			f.ctx = nil
			f.mu.Unlock()
			f.parts.Wait()
			return
		case <-tick.C:
		case <-f.poke:
		}
	}
}

// look has it be looked now whether contacts are others.
func (f *friendsRelay) look() {
	select {
	case f.poke <- struct{}{}:
	default:
	}
}

func (f *friendsRelay) wish(ctx context.Context) (w wish, err error) {
	err = f.a.store.View(ctx, func(tx *store.Tx) error {
		raw, err := tx.Setting(friendsSetting)
		if err != nil {
			return err
		}
		return json.Unmarshal(raw, &w)
	})
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	if w.MaxDisk == 0 {
		w.MaxDisk, w.Share, w.Days = friendsDisk, friendsShare, friendsDays
	}
	w.Daily = cmp.Or(w.Daily, friendsDaily)
	return w, err
}

func (f *friendsRelay) keep(ctx context.Context, w wish) error {
	raw, err := json.Marshal(w)
	if err != nil {
		return err
	}
	return f.a.store.Update(ctx, func(tx *store.Tx) error { return tx.PutSetting(friendsSetting, raw) })
}

// step does what is to be done now.
func (f *friendsRelay) step(ctx context.Context) error {
	w, err := f.wish(ctx)
	if err != nil {
		return err
	}
	f.reap()
	if !w.On && w.Until.IsZero() {
		f.stop()
		return nil
	}
	if f.up == nil && time.Now().Before(f.retry) {
		return nil
	}
	limits, err := f.limits(ctx, w)
	if err != nil {
		return err
	}
	if f.up == nil {
		f.start(w, limits)
		if f.fails != nil {
			return f.fails
		}
	}
	if err := f.limit(limits); err != nil {
		return err
	}
	addrs := f.addrs()
	if err := f.keepOwn(ctx, &w, addrs); err != nil {
		return err
	}
	now := time.Now().Truncate(time.Second)
	over := !w.Until.IsZero() && (f.up.Report().Cells == 0 || now.After(w.Until))
	if over {
		w.Until = now
	}
	if err := f.a.chat.TellFriends(ctx, chat.ForFriends{Secret: [32]byte(w.Secret), Relay: f.up.ID(), Addrs: addrs, Until: w.Until, But: w.But.of()}); err != nil || !over {
		return err
	}
	f.stop()
	w.Until = time.Time{}
	return errors.Join(f.keep(ctx, w), f.a.chat.ForgetFriends(ctx))
}

// limits are what the relay gives now, and to whom.
func (f *friendsRelay) limits(ctx context.Context, w wish) (l relay.Limits, err error) {
	q := mailbox.DefaultQuotas()
	q.BoxBytes = uint64(w.Share)
	q.QueueBytes = uint32(min(int64(q.QueueBytes), w.Share))
	l = relay.Limits{MaxDisk: w.MaxDisk, Quotas: q, Keep: time.Duration(w.Days) * 24 * time.Hour, Closed: !w.Until.IsZero(), Daily: w.Daily}
	if w.Own || l.Closed { // what is there of one's own is fetched, too
		l.Tokens = [][]byte{ownToken(w)}
	}
	l.Friends, l.Former, err = f.a.chat.FriendTokens(ctx, [32]byte(w.Secret), w.But.of())
	slices.SortFunc(l.Friends, slices.Compare)
	return l, err
}

func (f *friendsRelay) limit(l relay.Limits) error {
	same := f.as.MaxDisk == l.MaxDisk && f.as.Quotas == l.Quotas && f.as.Keep == l.Keep && f.as.Closed == l.Closed && f.as.Daily == l.Daily &&
		slices.EqualFunc(f.as.Tokens, l.Tokens, slices.Equal) && slices.EqualFunc(f.as.Friends, l.Friends, slices.Equal) &&
		slices.EqualFunc(f.as.Former, l.Former, slices.Equal)
	if same {
		return nil
	}
	if err := f.up.SetLimits(l); err != nil {
		return err
	}
	f.as = l
	return nil
}

// ownToken pays for the account's own box.
func ownToken(w wish) []byte {
	b, err := hkdf.Key(sha256.New, w.Secret, nil, "godwit/1/own relay", 32)
	if err != nil {
		panic("app: HKDF of 32 bytes cannot fail: " + err.Error())
	}
	return b
}

// start starts the relay; fails says if it could not be.
func (f *friendsRelay) start(w wish, l relay.Limits) {
	cfg := f.a.cfg
	f.fails, f.retry = nil, time.Now().Add(friendsRetry)
	ready := make(chan struct{})
	r, err := relay.New(relay.Config{
		Data: cfg.Dirs.Relay, Socket: cfg.Dirs.RelaySocket, Mode: node.Mode(cfg.Network), Peers: cfg.Peers, Listed: cfg.Listed, Friends: true, Limits: l,
		Version: config.Version, Logger: f.a.log(),
		Event: func(e relay.Event) {
			if e.State == relay.Ready {
				close(ready)
			}
		},
	})
	if err != nil {
		f.fails = RelayProblem(err)
		return
	}
	ctx, stop := context.WithCancel(f.ctx)
	ended := make(chan error, 1)
	f.parts.Go(func() {
		defer stop()
		ended <- r.Run(ctx)
	})
	f.up, f.as, f.at, f.ended = r, l, "", ended
	f.end = sync.OnceFunc(func() {
		stop()
		if err := <-ended; err != nil {
			f.a.log().Error("the relay for friends did not end well", "err", err)
		}
	})
	<-ready // it is told first of all, and by Run at once
}

// reap notes that the relay ended by itself.
func (f *friendsRelay) reap() {
	if f.up == nil {
		return
	}
	select {
	case err := <-f.ended:
		f.up, f.end, f.fails, f.retry = nil, nil, RelayProblem(err), time.Now().Add(friendsRetry)
	default:
	}
}

func (f *friendsRelay) stop() {
	if f.up != nil {
		f.end()
	}
	f.up, f.end, f.fails, f.retry = nil, nil, nil, time.Time{}
}

// addrs are where contacts reach the relay: straight, and by circuits.
func (f *friendsRelay) addrs() (list []ma.Multiaddr) {
	for _, a := range f.up.Addrs() {
		if straight, _ := peer.SplitAddr(a); straight != nil {
			list = append(list, straight)
		}
	}
	return append(list, f.up.Routes()...)
}

// keepOwn keeps the own mail there if it is to be kept there, and gives the box up if it was.
func (f *friendsRelay) keepOwn(ctx context.Context, w *wish, addrs []ma.Multiaddr) error {
	if !w.Own {
		return nil
	}
	if !w.On {
		if err := f.a.chat.RemoveRelay(ctx, f.up.ID()); err != nil && !errors.Is(err, problem.NoSuchRelay) { // it may be by hand, before
			return err
		}
		w.Own = false
		return f.keep(ctx, *w)
	}
	at := peer.AddrInfo{ID: f.up.ID()}
	for _, a := range addrs {
		if node.AllowedAddr(node.Mode(f.a.cfg.Network), a) {
			at.Addrs = append(at.Addrs, a)
		}
	}
	text := fmt.Sprint(at.Addrs)
	if len(at.Addrs) == 0 || text == f.at {
		return nil
	}
	f.at = text
	return f.a.chat.AddRelay(ctx, at, store.RelayByHand, ownToken(*w))
}

// disown notes that the own box there was given up by hand.
func (f *friendsRelay) disown(ctx context.Context, id peer.ID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.up == nil || f.up.ID() != id {
		return nil
	}
	w, err := f.wish(ctx)
	if err != nil || !w.Own {
		return err
	}
	w.Own = false
	return f.keep(ctx, w)
}

// set changes what is wished, and does it.
func (f *friendsRelay) set(ctx context.Context, r api.SetFriendsRelayRequest) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	w, err := f.wish(ctx)
	if err != nil {
		return err
	}
	was := w
	if r.Contact != "" {
		if err := f.forOne(ctx, &w, r); err != nil {
			return err
		}
	} else if err := w.change(r); err != nil {
		return err
	}
	switch {
	case w.On && !was.On:
		if len(w.Secret) != 32 {
			w.Secret = make([]byte, 32)
			rand.Read(w.Secret) // never fails, see crypto/rand
		}
		w.Until, f.retry = time.Time{}, time.Time{}
		if w.Own, err = f.hasNoRelay(ctx); err != nil {
			return err
		}
	case !w.On && was.On:
		w.Until = time.Now().Add(time.Duration(was.Days) * 24 * time.Hour).Truncate(time.Second)
	}
	if !w.On && r.Now && !w.Until.IsZero() {
		w.Until = time.Now().Add(-time.Second)
	}
	if err := f.keep(ctx, w); err != nil || f.ctx == nil {
		return err // another run does it
	}
	return f.step(ctx)
}

// forOne changes whether mail is kept for one contact. What lies there for them is given out as long as was promised. Errors:
// those of find, problem.BadRequest.
func (f *friendsRelay) forOne(ctx context.Context, w *wish, r api.SetFriendsRelayRequest) error {
	who, err := f.a.find(ctx, r.Contact)
	if err != nil {
		return err
	}
	if r.On == nil || r.MaxDisk != nil || r.Share != nil || r.Days != nil || r.Daily != nil || r.Now {
		return problem.Newf(problem.BadRequest, "for one contact it can be switched on or off, and nothing else")
	}
	w.But = maps.Clone(w.But)
	if *r.On {
		delete(w.But, who.Account.String())
		return nil
	}
	if w.But == nil {
		w.But = make(but)
	}
	if _, off := w.But[who.Account.String()]; !off {
		w.But[who.Account.String()] = time.Now().Add(time.Duration(w.Days) * 24 * time.Hour).Truncate(time.Second)
	}
	return nil
}

// change is a wish as it is asked for. Errors: problem.BadRequest.
func (w *wish) change(r api.SetFriendsRelayRequest) error {
	if r.On != nil {
		w.On = *r.On
	}
	if r.MaxDisk != nil {
		w.MaxDisk = *r.MaxDisk
	}
	if r.Share != nil {
		w.Share = *r.Share
	}
	if r.Days != nil {
		w.Days = *r.Days
	}
	if r.Daily != nil {
		w.Daily = *r.Daily
	}
	size := func(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }
	switch {
	case w.MaxDisk < minFriendsDisk || w.MaxDisk > maxFriendsDisk:
		return problem.Newf(problem.BadRequest, "%s on the disk is not within %s and %s", size(w.MaxDisk), size(minFriendsDisk), size(maxFriendsDisk))
	case w.Share < minFriendsShare || w.Share > w.MaxDisk:
		return problem.Newf(problem.BadRequest, "%s for each friend is not within %s and the %s for all", size(w.Share), size(minFriendsShare), size(w.MaxDisk))
	case w.Daily < minFriendsDaily || w.Daily > maxFriendsDisk:
		return problem.Newf(problem.BadRequest, "%s of traffic a day is not within %s and %s", size(w.Daily), size(minFriendsDaily), size(maxFriendsDisk))
	case w.Days < 1 || w.Days > int(mailbox.MaxTTL/(24*time.Hour)):
		return problem.Newf(problem.BadRequest, "%d days are not within 1 and %d", w.Days, mailbox.MaxTTL/(24*time.Hour))
	}
	return nil
}

// hasNoRelay says whether the account keeps its mail nowhere where something rests on it.
func (f *friendsRelay) hasNoRelay(ctx context.Context) (bool, error) {
	list, err := f.a.chat.Relays(ctx)
	return !slices.ContainsFunc(list, func(r api.Relay) bool { return r.Friend == "" && r.Until.IsZero() }), err
}

// view is how it stands.
func (f *friendsRelay) view(ctx context.Context) (v api.FriendsRelay, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w, err := f.wish(ctx)
	if err != nil {
		return v, err
	}
	not, err := f.names(ctx, w.But.of())
	if err != nil {
		return v, err
	}
	v = api.FriendsRelay{But: not, State: api.FriendsOff, On: w.On, Own: w.Own, MaxDisk: w.MaxDisk, Share: w.Share, Days: w.Days, Daily: w.Daily}
	if w.On || !w.Until.IsZero() {
		v.State, v.Until = api.FriendsWaiting, api.Time{Time: w.Until}
	}
	if f.fails != nil {
		v.State, v.Reason = api.FriendsFailed, f.fails.Error()
	}
	if f.up == nil {
		return v, nil
	}
	r := f.up.Report()
	v.Relay, v.Addrs, v.Hops = r.Peer, r.Addrs, int(r.Hops)
	v.Disk, v.Cells, v.Bytes, v.Month = r.Disk, r.Cells, r.Bytes, &api.FriendsMonth{Since: api.Time{Time: r.Month.Since}, Taken: r.Month.Taken, Given: r.Month.Given}
	if r.Day != nil {
		v.Today = r.Day.Used
	}
	v.Friends, v.Using = r.Friends.Tokens, r.Friends.Using
	switch {
	case !w.Until.IsZero():
		v.State = api.FriendsDraining
	case r.State == relay.Full:
		v.State, v.Reason = api.FriendsFull, r.Reason
	case r.Day.Spent():
		v.State = api.FriendsSpent
	default:
		v.State = api.FriendsOn
		if len(r.Addrs) == 0 && r.Hops == 0 {
			v.Reason = chat.Reason(string(problem.HomeUnreached))
		}
	}
	return v, nil
}

// names are what contacts are called.
func (f *friendsRelay) names(ctx context.Context, but chat.But) (list []api.Excepted, err error) {
	err = f.a.store.View(ctx, func(tx *store.Tx) error {
		for account := range but {
			who, err := tx.ContactByAccount(account)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			list = append(list, api.Excepted{Contact: account.String(), Name: chat.DisplayName(who)})
		}
		return nil
	})
	slices.SortFunc(list, func(a, b api.Excepted) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Contact, b.Contact))
	})
	return list, err
}

// FriendsRelay implements api.Backend.
func (a *App) FriendsRelay(ctx context.Context, _ api.FriendsRelayRequest) (api.FriendsRelay, error) {
	v, err := a.friends.view(ctx)
	return v, storeProblem(err)
}

// SetFriendsRelay implements api.Backend.
func (a *App) SetFriendsRelay(ctx context.Context, r api.SetFriendsRelayRequest) (api.FriendsRelay, error) {
	if err := a.friends.set(ctx, r); err != nil {
		return api.FriendsRelay{}, storeProblem(err)
	}
	return a.FriendsRelay(ctx, api.FriendsRelayRequest{})
}
