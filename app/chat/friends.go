package chat

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/node"
)

// People keep mail for their contacts on their own computers, beside the relays that are always
// on. Whose computer does so tells each contact's device inside the session where the relay
// is, and a token for one box there. The device takes up to friendRelays of what it was
// told, keeps a box there once it got in, and names it to its own contacts as an extra
// one: what is left there is one more copy, which is fetched if the computer is on, and
// makes no message kept. Nobody but those who have a session learns of it.
//
// A token follows from a secret of the computer's owner and from the device, so nothing is to
// be kept for each. Who is blocked or removed has none any more: the lease of the box ends, and what
// lies there can be fetched until it expires.

const (
	// friendRelays is how many friends' computers keep our mail at most.
	friendRelays = 2
	// friendTrial is how long one may not be reached before another is tried in its place, and
	// friendRest for how long it then is not.
	friendTrial, friendRest = 7 * 24 * time.Hour, 30 * 24 * time.Hour
	// friendsHourly is how often it is looked whether something of it is over.
	friendsHourly = time.Hour
	// retellFriends is how far apart contacts are told of changed addresses.
	retellFriends = 30 * time.Minute
)

// ForFriends is a relay on this computer that keeps mail for contacts.
type ForFriends struct {
	Secret [32]byte // from which tokens follow
	Relay  peer.ID
	Addrs  []ma.Multiaddr // without PeerID, and circuits that lead there; none yet: nobody is told
	Until  time.Time      // it takes nothing more, and will have gone then; zero: it keeps mail
	But    But            // those for whom it keeps none
}

// But are contacts for whom nothing is kept though it is for others, by their accounts: until when what lies there is
// given out.
type But map[identity.AccountID]time.Time

// friendToken pays for the box of a device.
func friendToken(secret [32]byte, device identity.DevicePublic) [32]byte {
	b, err := hkdf.Key(sha256.New, secret[:], nil, "godwit/1/friend"+string(device[:]), 32)
	if err != nil {
		panic("chat: HKDF of 32 bytes cannot fail: " + err.Error())
	}
	return [32]byte(b)
}

// FriendTokens are the tokens of all devices of contacts for whom anything is done, but for some, and of those for whom
// nothing is done any more.
func (c *Chat) FriendTokens(ctx context.Context, secret [32]byte, but But) (tokens, former [][]byte, err error) {
	of := func(devices []identity.DevicePublic) (list [][]byte) {
		for _, d := range devices {
			token := friendToken(secret, d)
			list = append(list, token[:])
		}
		return list
	}
	err = c.store.View(ctx, func(tx *store.Tx) error {
		devices, err := servedDevices(tx)
		if err != nil {
			return err
		}
		gone, err := tx.FormerDevices()
		if err != nil {
			return err
		}
		var friends []identity.DevicePublic
		for _, d := range devices {
			who, err := tx.ContactByDevice(d)
			if err != nil {
				return err
			}
			if _, no := but[who.Account]; no {
				gone = append(gone, d)
			} else {
				friends = append(friends, d)
			}
		}
		tokens, former = of(friends), of(gone)
		return nil
	})
	return tokens, former, err
}

func servedDevices(tx *store.Tx) (list []identity.DevicePublic, err error) {
	devices, err := tx.AllDevices()
	if err != nil {
		return nil, err
	}
	for _, d := range devices {
		ok, err := isServed(tx, d.Device)
		if err != nil {
			return nil, err
		}
		if ok {
			list = append(list, d.Device)
		}
	}
	return list, nil
}

// TellFriends tells contacts' devices what they do not know of a relay on this computer: that it
// keeps mail for them and where, or does so no more. Who is blocked or removed is told nothing, but all
// anew if they are a contact again. It is called again and again.
func (c *Chat) TellFriends(ctx context.Context, f ForFriends) error {
	if err := c.forgetFormer(ctx); err != nil {
		return err
	}
	devices := func(tx *store.Tx) ([]identity.DevicePublic, error) {
		all, err := servedDevices(tx)
		if err != nil {
			return nil, err
		}
		var due []identity.DevicePublic
		for _, d := range all {
			_, _, ok, err := c.tellsFriend(tx, d, f, time.Now())
			if err != nil {
				return nil, err
			}
			if ok {
				due = append(due, d)
			}
		}
		return due, nil
	}
	return forEach(ctx, c, devices, func(t *turn, device identity.DevicePublic) error {
		body, what, due, err := c.tellsFriend(t.Tx, device, f, t.now)
		if err != nil || !due {
			return err
		}
		if ready, err := c.reachable(t, device); err != nil || !ready {
			return err // once the session stands
		}
		item, err := loose(t.now, content.KindKeeping, content.WantsReceipt, body, nil)
		if err != nil {
			return err
		}
		return errors.Join(t.TellFriend(device, what, t.now), c.queue(t, device, store.ClassProfile, 0, item))
	})
}

// forgetFormer forgets what those were told who are friends no more.
func (c *Chat) forgetFormer(ctx context.Context) error {
	told := func(tx *store.Tx) ([]identity.DevicePublic, error) {
		former, err := tx.FormerDevices()
		if err != nil {
			return nil, err
		}
		var due []identity.DevicePublic
		for _, d := range former {
			what, _, err := tx.FriendTold(d)
			if err != nil {
				return nil, err
			}
			if what != [32]byte{} {
				due = append(due, d)
			}
		}
		return due, nil
	}
	return forEach(ctx, c, told, func(t *turn, d identity.DevicePublic) error { return t.TellFriend(d, [32]byte{}, t.now) })
}

// tellsFriend is what a device should be told, and whether it is time.
func (c *Chat) tellsFriend(tx *store.Tx, device identity.DevicePublic, f ForFriends, now time.Time) (body []byte, what [32]byte, due bool, err error) {
	until := f.Until
	if until.IsZero() {
		who, err := tx.ContactByDevice(device)
		if err != nil {
			return nil, what, false, err
		}
		until = f.But[who.Account]
	}
	k := content.Keeping{Relay: []byte(f.Relay), Until: until}
	if until.IsZero() {
		if len(f.Addrs) == 0 {
			return nil, what, false, nil
		}
		k.Token, k.Addrs = friendToken(f.Secret, device), friendAddrs(f.Addrs)
	}
	if body, err = k.Marshal(); err != nil {
		return nil, what, false, err
	}
	what = sha256.Sum256(body)
	told, at, err := tx.FriendTold(device)
	switch {
	case err != nil || told == what:
	case !until.IsZero():
		due = told != [32]byte{} // who was never told has nothing there
	default:
		due = told == [32]byte{} || now.Sub(at).Abs() >= retellFriends
	}
	return body, what, due, err
}

// friendAddrs are addresses in an order that is always the same, within the bounds of content.Keeping.
func friendAddrs(addrs []ma.Multiaddr) [][]byte {
	straight, circuits := splitPlaces(addrs)
	list := withRoutes(addrBytes(sorted(straight)), addrBytes(sorted(circuits)))
	return slices.DeleteFunc(list, func(a []byte) bool { return len(a) > content.MaxAddr })
}

func sorted(addrs []ma.Multiaddr) []ma.Multiaddr {
	list := slices.Clone(addrs)
	slices.SortFunc(list, func(a, b ma.Multiaddr) int { return a.Compare(b) })
	return list
}

// ForgetFriends forgets what contacts were told, once the relay is gone: another time they are told anew.
func (c *Chat) ForgetFriends(ctx context.Context) error {
	return forEach(ctx, c, (*store.Tx).AllDevices, func(t *turn, d store.Device) error {
		return t.TellFriend(d.Device, [32]byte{}, t.now)
	})
}

// takeKeeping keeps what a contact's device tells of its computer, and uses it.
func (c *Chat) takeKeeping(t *turn, device identity.DevicePublic, told time.Time, k content.Keeping) error {
	id, err := peer.IDFromBytes(k.Relay)
	if err != nil {
		c.log.Warn("passed over a friend's computer that is no relay", "err", err)
		return nil
	}
	o := store.FriendOffer{Device: device, Relay: store.PeerID(id), Addrs: k.Addrs, Token: k.Token, Told: told, Until: k.Until}
	if have, err := t.FriendOffer(device); err == nil && have.Until.IsZero() && o.Until.IsZero() && have.Relay == o.Relay {
		// Only its addresses are others, or nothing is: then it keeps mail for us again, as who is blocked for a time
		// is told afterwards. What was given up by hand stays so.
		if again := slices.EqualFunc(have.Addrs, o.Addrs, slices.Equal); !again || have.Unused.After(t.now.Add(friendRest)) {
			o.Unused = have.Unused
		}
	} else if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	newer, err := t.PutFriendOffer(o)
	if err != nil || !newer {
		return err
	}
	return c.useFriends(t)
}

// useFriends sees that we keep our mail with friends as it is offered: it gives up what is over
// or cannot be reached, goes where a relay is now, and begins with others.
func (c *Chat) useFriends(t *turn) error {
	relays, err := t.Relays()
	if err != nil {
		return err
	}
	used, gone := 0, false
	known := make(map[store.PeerID]bool)
	for _, r := range relays {
		known[r.Peer] = true
		if r.Friend == nil || !r.Removed.IsZero() {
			continue
		}
		o, stays, err := c.friendStays(t, r)
		if err != nil {
			return err
		}
		if !stays {
			gone = true
			if err := c.giveUpRelay(t, r); err != nil {
				return err
			}
			continue
		}
		used++
		straight, _ := splitPlaces(multiaddrs(o.Addrs))
		if now := c.mayDial(straight); len(now) > 0 && !slices.EqualFunc(now, r.Addrs, slices.Equal) {
			r.Addrs = now
			if err := t.PutRelay(r); err != nil {
				return err
			}
			t.then(func() { c.startBox(r) })
			gone = gone || !r.LeaseUntil.IsZero() // contacts know the old ones
		}
	}
	offers, err := t.FriendOffers()
	if err != nil {
		return err
	}
	for _, o := range offers {
		if used >= friendRelays {
			break
		}
		if !o.Until.IsZero() || t.now.Before(o.Unused) {
			continue
		}
		if ok, err := isServed(t.Tx, o.Device); err != nil || !ok {
			if err != nil {
				return err
			}
			continue
		}
		straight, circuits := splitPlaces(multiaddrs(o.Addrs))
		r := store.Relay{
			Peer: o.Relay, Addrs: c.mayDial(straight), Routes: addrBytes(circuits), Source: store.RelayByFriend, Friend: &o.Device,
			Box: mailbox.FriendBox(peer.ID(o.Relay), o.Token[:]).Seed(), Lease: o.Token[:], Added: t.now,
		}
		if have, err := t.Relay(o.Relay); err == nil {
			// It may be given by hand, or another contact's who says that it is theirs.
			if have.Friend == nil || *have.Friend != o.Device || have.Removed.IsZero() {
				continue
			}
			r.LeaseUntil = have.LeaseUntil
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if len(r.Addrs) == 0 && len(node.Hops(c.node.Mode(), circuits)) == 0 {
			continue
		}
		if err := errors.Join(t.PutRelay(r), t.ResumeQueues(r.Peer)); err != nil {
			return err
		}
		used++
		gone = gone || known[r.Peer]
		t.then(func() { c.startBox(r) })
		c.log.Info("a contact's computer keeps mail for this account, while it is on")
	}
	if gone {
		return c.tellQueues(t)
	}
	return nil
}

// callFriend calls the computer of a friend again, who has just come.
func (c *Chat) callFriend(device identity.DevicePublic) {
	c.mu.Lock()
	var theirs []store.Relay
	for _, b := range c.boxes {
		b.mu.Lock()
		if b.relay.Friend != nil && *b.relay.Friend == device && b.state != relayConnected {
			theirs = append(theirs, b.relay)
		}
		b.mu.Unlock()
	}
	c.mu.Unlock()
	for _, r := range theirs {
		c.startBox(r)
	}
}

// mayDial are the addresses that the mode allows.
func (c *Chat) mayDial(addrs []ma.Multiaddr) (list [][]byte) {
	for _, a := range addrs {
		if node.AllowedAddr(c.node.Mode(), a) && len(list) < identity.MaxAddrs && len(a.Bytes()) <= identity.MaxAddrSize {
			list = append(list, a.Bytes())
		}
	}
	return list
}

// friendStays says whether the computer of a friend is to be used on.
func (c *Chat) friendStays(t *turn, r store.Relay) (o store.FriendOffer, stays bool, err error) {
	o, err = t.FriendOffer(*r.Friend)
	if errors.Is(err, store.ErrNotFound) {
		return o, false, nil
	}
	if err != nil || o.Relay != r.Peer || !o.Until.IsZero() || t.now.Before(o.Unused) {
		return o, false, err
	}
	if ok, err := isServed(t.Tx, o.Device); err != nil || !ok {
		return o, false, err
	}
	lapsed := !r.LeaseUntil.IsZero() && t.now.After(r.LeaseUntil)
	if lapsed || r.LeaseUntil.IsZero() && t.now.Sub(r.Added).Abs() > friendTrial {
		return o, false, t.LeaveFriend(o.Device, t.now.Add(friendRest))
	}
	return o, true, nil
}

// renewFriends is useFriends as a chore: once an hour, as what comes by itself takes days.
func (c *Chat) renewFriends(ctx context.Context) error {
	if time.Since(c.looked).Abs() < friendsHourly {
		return nil
	}
	c.looked = time.Now()
	due := func(tx *store.Tx) ([]bool, error) {
		offers, err := tx.FriendOffers()
		if err != nil || len(offers) == 0 {
			return nil, err
		}
		return []bool{true}, nil
	}
	return forEach(ctx, c, due, func(t *turn, _ bool) error { return c.useFriends(t) })
}

// endFriend notes that a friend's computer keeps our mail no more, though our lease there would last, and gives it up.
func (c *Chat) endFriend(ctx context.Context, of store.PeerID) error {
	return c.update(ctx, func(t *turn) error {
		r, err := t.Relay(of)
		if err != nil || r.Friend == nil || !r.Removed.IsZero() {
			return ignore(err, store.ErrNotFound)
		}
		r.LeaseUntil = t.now.Add(-time.Second)
		return errors.Join(t.PutRelay(r), c.useFriends(t))
	})
}

// leaveFriend notes that a friend's computer was given up by hand: it is not taken again.
func (c *Chat) leaveFriend(t *turn, r store.Relay) error {
	if r.Friend == nil {
		return nil
	}
	const never = 100 * 365 * 24 * time.Hour
	return t.LeaveFriend(*r.Friend, t.now.Add(never))
}

// friendDrained says whether a friend's computer that was given up keeps nothing any more: what
// it kept has expired, or it has gone as it said.
func friendDrained(tx *store.Tx, r store.Relay) (bool, error) {
	if time.Since(r.Removed) >= mailbox.MaxTTL {
		return true, nil
	}
	o, err := tx.FriendOffer(*r.Friend)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && o.Relay == r.Peer && !o.Until.IsZero() && time.Now().After(o.Until), err
}
