package chat

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/crypto/cryptobyte"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/session"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
)

// Who writes by a reusable address is a stranger, and what they write a request. Until the person
// decides there is no contact, no session and no answer: their first flights
// are kept as they came; only a name and the first words in them
// were read. Accepting takes the flights as if they came now, ignoring and
// blocking forget them.
const (
	// requestsMax is how many requests wait at most. Beyond, one that took more work
	// displaces the one that took the least, as at a relay (p2p/mailbox/SPEC.md, 2.2).
	requestsMax = 100
	// requestsEach is how many of these may have come by one of several relays, or directly: how
	// much work one took is the word of the relay, and who lies about it gets no more than that.
	requestsEach = requestsMax / 2
	// requestFlights is how many flights of one stranger are kept, 16 KiB each: as many as
	// can be sent before the first answer. So requests take 25 MiB at most.
	requestFlights = session.FlightsMax
	// requestsDay is how many requests are taken in a day by one relay; beyond, as with requestsMax.
	requestsDay = 200
	// requestFor is how long a request waits, ignoreFor how long one that was ignored
	// is not asked again: by then all that was sent before has expired at relays.
	requestFor, ignoreFor = 30 * 24 * time.Hour, 30 * 24 * time.Hour
)

// The ways of a decision, as events tell it.
const (
	requestNew      = "new"
	requestAccepted = "accepted"
	requestIgnored  = "ignored"
	requestBlocked  = "blocked"
)

var (
	// errAsked says that a flight is a request's, or that of somebody of whom nobody
	// wants to hear. Its author is not told which.
	errAsked = errors.New("chat: a stranger's, for the person to decide")
	// errCrowded says that too many requests wait for one more.
	errCrowded = errors.New("chat: no room for a request")
)

// sift refuses what needs no costly cryptography to be refused: so far only the seal of the
// flight was taken off, and its author is whom it claims.
func (c *Chat) sift(ctx context.Context, o openedFlight) error {
	return c.store.View(ctx, func(tx *store.Tx) error {
		if _, err := tx.Session(store.SessionID(o.flight.Offer.SessionID())); !errors.Is(err, store.ErrNotFound) {
			return err // of a session that there is, a message like others
		}
		given, err := tx.Bundle(store.BundleID(o.flight.Offer.Bundle))
		if errors.Is(err, store.ErrNotFound) || err == nil && given.Invitation == nil {
			return errUsed
		}
		if err != nil {
			return err
		}
		inv, err := tx.Invitation(*given.Invitation)
		if err != nil || inv.Kind != identity.Reusable {
			return err
		}
		asks, err := c.knocks(tx, o, inv)
		if err == nil && asks && o.relay == "" && !c.callers.take(time.Now()) {
			return errCrowded
		}
		return err
	})
}

// knocks says whether a flight by a reusable address is for the person to decide, and not
// a contact's. Errors: errUsed, errAsked, errCrowded.
func (c *Chat) knocks(tx *store.Tx, o openedFlight, inv store.Invitation) (bool, error) {
	now := time.Now()
	if inv.State != store.InvitationOpen || now.After(inv.Expires) && o.relay == "" || o.chain.Account() == c.self() {
		return false, errUsed
	}
	who, err := tx.ContactByAccount(o.chain.Account())
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return false, err
	case !who.Blocked.IsZero():
		return false, errAsked
	case who.Removed.IsZero() && who.Kind != store.ContactRequest:
		return false, nil // who was met before, and has a new device or lost what was between us
	}
	hash := messageHash(o.flight.Message)
	if _, err := tx.Seen(hash); !errors.Is(err, store.ErrNotFound) {
		return false, errors.Join(err, errAsked) // of somebody who was a contact, once more
	}
	q, err := tx.RequestBy(o.chain.Account())
	switch {
	case err == nil && (q.State == store.RequestIgnored || q.Flights >= requestFlights):
		return false, errAsked
	case err == nil:
		kept, err := tx.HasRequestFlight(hash)
		if err == nil && kept {
			err = errAsked
		}
		return true, err
	case !errors.Is(err, store.ErrNotFound):
		return false, err
	}
	room, _, err := requestRoom(tx, o.origin, now)
	if err == nil && !room {
		err = errCrowded
	}
	return true, err
}

// requestRoom says whether there may be one more request, and which has to make room for it.
func requestRoom(tx *store.Tx, by origin, now time.Time) (room bool, displaced *store.Request, err error) {
	n, err := tx.CountRequests()
	if err != nil {
		return false, nil, err
	}
	same, err := tx.CountRequestsBy(by.relay)
	if err != nil {
		return false, nil, err
	}
	each, err := requestShare(tx)
	if err != nil {
		return false, nil, err
	}
	day, err := requestDay(tx, by.relay, now)
	if err != nil {
		return false, nil, err
	}
	var weakest store.Request
	switch {
	case same >= each || day.count >= requestsDay:
		weakest, err = tx.WeakestRequestBy(by.relay)
	case n >= requestsMax:
		weakest, err = tx.WeakestRequest()
	default:
		return true, nil, nil
	}
	if errors.Is(err, store.ErrNotFound) || err == nil && weakest.Work >= by.work {
		return false, nil, nil
	}
	return err == nil, &weakest, err
}

// requestShare is how many requests may have come by one relay.
func requestShare(tx *store.Tx) (int64, error) {
	relays, err := tx.UsualRelays()
	if len(relays) > 1 {
		return requestsEach, err
	}
	return requestsMax, err
}

// tally counts the requests of a day.
//
//	begin 8, unix ms | count 4
type tally struct {
	begin time.Time
	count uint32
}

// daySetting is where the count of a relay's day is kept: it outlives the process, as a flood may.
func daySetting(relay store.PeerID) string { return "requests/day/" + peer.ID(relay).String() }

func requestDay(tx *store.Tx, relay store.PeerID, now time.Time) (d tally, err error) {
	raw, err := tx.Setting(daySetting(relay))
	if errors.Is(err, store.ErrNotFound) {
		return tally{begin: now}, nil
	}
	if err != nil {
		return d, err
	}
	if d, err = parseTally(raw); err == nil && now.Sub(d.begin).Abs() >= 24*time.Hour { // or a clock that jumped
		d = tally{begin: now}
	}
	return d, err
}

func parseTally(raw []byte) (d tally, err error) {
	s := cryptobyte.String(raw)
	var begin uint64
	if !s.ReadUint64(&begin) || !s.ReadUint32(&d.count) || !s.Empty() {
		return d, fmt.Errorf("count of requests: %w", store.ErrDamaged)
	}
	d.begin = time.UnixMilli(int64(begin))
	return d, nil
}

func (d tally) marshal() []byte {
	var b cryptobyte.Builder
	b.AddUint64(uint64(d.begin.UnixMilli()))
	b.AddUint32(d.count)
	return b.BytesOrPanic()
}

// knock keeps the flight of a stranger. It returns errAsked when that is done.
func (c *Chat) knock(t *turn, given store.Bundle, inv store.Invitation, o openedFlight) error {
	name, text, err := c.words(t, given, o)
	if err != nil {
		return err
	}
	q, err := t.RequestBy(o.chain.Account())
	fresh := errors.Is(err, store.ErrNotFound)
	switch {
	case fresh:
		if q, err = c.newRequest(t, inv, o); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	told := q
	if q.Name == "" {
		q.Name = name
	}
	if q.Text == "" {
		q.Text = text
	}
	q.Work = max(q.Work, o.work)
	if err := t.UpdateRequest(q); err != nil {
		return err
	}
	f := store.RequestFlight{Request: q.ID, Hash: messageHash(o.flight.Message), Bundle: given.ID, Relay: o.relay, Cell: o.cell}
	if err := t.InsertRequestFlight(f); err != nil {
		return err
	}
	if fresh || q.Name != told.Name || q.Text != told.Text {
		if err := c.tellRequest(t, q, requestNew); err != nil {
			return err
		}
	}
	return errAsked
}

// newRequest makes room for a request and adds it.
func (c *Chat) newRequest(t *turn, inv store.Invitation, o openedFlight) (q store.Request, err error) {
	room, displaced, err := requestRoom(t.Tx, o.origin, t.now)
	if err != nil {
		return q, err
	}
	if !room {
		return q, errCrowded
	}
	if displaced != nil {
		if err := t.DeleteRequest(displaced.ID); err != nil {
			return q, err
		}
	}
	today, err := requestDay(t.Tx, o.relay, t.now)
	if err != nil {
		return q, err
	}
	today.count++
	if err := t.PutSetting(daySetting(o.relay), today.marshal()); err != nil {
		return q, err
	}
	q = store.Request{Account: o.chain.Account(), State: store.RequestWaiting, Invitation: inv.ID, Work: o.work, At: t.now, Expires: t.now.Add(requestFor)}
	q.ID, err = t.InsertRequest(q)
	return q, err
}

// words are the name and the first text in a flight, which its author is shown to have
// written: only who holds the keys that it names can seal under the session.
func (c *Chat) words(t *turn, given store.Bundle, o openedFlight) (name, text string, err error) {
	answered, err := c.respond(t.Tx, given, o)
	if err != nil {
		return "", "", err
	}
	payload, err := answered.Peek(t.now)
	if err != nil {
		return "", "", unreadable(err)
	}
	p, err := content.Parse(payload)
	if err != nil {
		return "", "", fmt.Errorf("%w: %w", errUnreadable, err)
	}
	for _, item := range p.Items {
		switch item.Kind {
		case content.KindProfile:
			if p, err := content.ParseProfile(item.Body); err == nil && CheckName(p.Name) == nil {
				name = p.Name
			}
		case content.KindText:
			if said, err := content.ParseText(item.Body); err == nil && text == "" {
				text = said.Text
			}
		}
	}
	return name, text, nil
}

// Requests are the strangers who wait, oldest first.
func (c *Chat) Requests(ctx context.Context) (list []api.Request, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) error {
		waiting, err := tx.Requests()
		if err != nil {
			return err
		}
		k, err := knownNames(tx)
		list = nil
		for _, q := range waiting {
			list = append(list, requestView(k, q))
		}
		return err
	})
	return list, err
}

func requestView(k known, q store.Request) api.Request {
	return api.Request{ID: q.Account.String(), Name: q.Name, LooksLike: k.like(q.Name, 0), Text: q.Text, Time: api.Time{Time: q.At},
		Via: api.ViaAddress, Invitation: q.Invitation.String(), Expires: api.Time{Time: q.Expires}}
}

// tellRequest tells what became of a request.
func (c *Chat) tellRequest(t *turn, q store.Request, change string) error {
	k, err := knownNames(t.Tx)
	if err != nil {
		return err
	}
	v := requestView(k, q)
	if change != requestNew {
		v.LooksLike = ""
	}
	t.then(func() {
		c.doors.tell()
		c.events.emit(api.RequestEvent(t.now, v, change))
	})
	return nil
}

// waiting finds a request that waits for a decision. Errors: problem.NoSuchRequest.
func waiting(t *turn, account identity.AccountID) (store.Request, error) {
	q, err := t.RequestBy(account)
	if errors.Is(err, store.ErrNotFound) || err == nil && q.State != store.RequestWaiting {
		return q, problem.New(problem.NoSuchRequest, nil)
	}
	return q, err
}

// AcceptRequest makes a contact of a stranger and returns its row: all that they sent is taken
// as if it came now. petname may be empty. Errors: problem.NoSuchRequest, BadName, ContactFrozen.
func (c *Chat) AcceptRequest(ctx context.Context, account identity.AccountID, petname string) (contact int64, err error) {
	if err := c.inUse(); err != nil {
		return 0, err
	}
	if petname != "" {
		if err := CheckName(petname); err != nil {
			return 0, problem.New(problem.BadName, err)
		}
	}
	err = c.update(ctx, func(t *turn) error {
		q, err := waiting(t, account)
		if err != nil {
			return err
		}
		flights, err := t.RequestFlights(q.ID)
		if err != nil {
			return err
		}
		if err := t.DeleteRequest(q.ID); err != nil {
			return err
		}
		for i, f := range flights {
			// The first has begun a session here or nothing has; of the others one
			// that cannot be read is lost alone.
			if err := c.replay(t, f); err != nil && (i == 0 || !refusal(err) || errors.Is(err, problem.ContactFrozen)) {
				return err
			}
		}
		who, err := t.ContactByAccount(account)
		if err != nil {
			return err
		}
		if err := setPetname(t, &who, petname); err != nil {
			return err
		}
		contact, who.Kind = who.ID, store.ContactKnown
		if err := t.UpdateContact(who); err != nil {
			return err
		}
		return c.tellRequest(t, q, requestAccepted)
	})
	return contact, c.freezeIf(ctx, account, err)
}

// replay takes a flight that a request was kept with.
func (c *Chat) replay(t *turn, f store.RequestFlight) error {
	given, err := t.Bundle(f.Bundle)
	if err != nil {
		return err
	}
	set, err := t.PrekeySet(given.PrekeySet)
	if err != nil {
		return err
	}
	o := openedFlight{origin: origin{relay: f.Relay}, cell: f.Cell}
	if o.flight, err = unseal([]store.PrekeySet{set}, f.Cell); err != nil {
		return err
	}
	if o.chain, o.from, err = o.flight.From(); err != nil {
		return fmt.Errorf("%w: %w", errUnreadable, err)
	}
	a := arrival{device: o.flight.Device, wire: o.flight.Message, relay: f.Relay, late: true}
	if known, err := t.keys.Has(store.SessionID(o.flight.Offer.SessionID())); err != nil {
		return err
	} else if known {
		_, err := c.take(t, a)
		return err
	}
	_, _, err = c.beginBy(t, given, o, a)
	return err
}

// IgnoreRequest forgets a request. Its author is told nothing, and is not asked about
// again for ignoreFor. Errors: problem.NoSuchRequest.
func (c *Chat) IgnoreRequest(ctx context.Context, account identity.AccountID) error {
	return c.update(ctx, func(t *turn) error {
		q, err := waiting(t, account)
		if err != nil {
			return err
		}
		if err := c.tellRequest(t, q, requestIgnored); err != nil {
			return err
		}
		if err := t.ForgetRequestFlights(q.ID); err != nil {
			return err
		}
		q.State, q.Name, q.Text, q.Expires = store.RequestIgnored, "", "", t.now.Add(ignoreFor)
		return t.UpdateRequest(q)
	})
}

// BlockRequest blocks the account of a stranger until the contact that stands for it is
// unblocked: nothing of theirs is looked at any more. It returns the contact's row.
// Errors: problem.NoSuchRequest.
func (c *Chat) BlockRequest(ctx context.Context, account identity.AccountID) (contact int64, err error) {
	err = c.update(ctx, func(t *turn) error {
		q, err := waiting(t, account)
		if err != nil {
			return err
		}
		who, err := t.ContactByAccount(account)
		if errors.Is(err, store.ErrNotFound) {
			who = store.Contact{Account: account, Kind: store.ContactRequest, PinSuite: identity.Suite, Created: t.now}
			who.ID, err = t.InsertContact(who)
		}
		if err != nil {
			return err
		}
		contact = who.ID
		who.Kind, who.Name, who.Petname, who.Blocked, who.Removed = store.ContactRequest, q.Name, "", t.now, time.Time{}
		if err := t.UpdateContact(who); err != nil {
			return err
		}
		if err := t.DeleteRequest(q.ID); err != nil {
			return err
		}
		t.then(func() { c.contactEvent(who, "blocked") })
		return c.tellRequest(t, q, requestBlocked)
	})
	return contact, err
}
