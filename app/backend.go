package app

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/chat"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/link"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/identity/vault"
	"github.com/godwit-im/godwit/p2p/dht"
	"github.com/godwit-im/godwit/p2p/node"
)

// Status implements api.Backend.
func (a *App) Status(ctx context.Context, _ api.StatusRequest) (s api.Status, err error) {
	self := accountView(a.account)
	s = api.Status{
		Account: self.Account, Device: self.Device, Name: self.Name, Peer: a.node.Host().ID().String(), Addrs: a.addrs(), Network: string(a.cfg.Network), Private: a.routing() != chat.Straight, NeverStraight: a.routing() == chat.OnlyPrivate,
		Connected: a.chat.Connected(), Protection: a.protection(), Version: config.Version, Started: api.Time{Time: a.started}, PID: os.Getpid(),
	}
	a.mu.Lock()
	s.Words = a.vault.Secrets().Entropy != nil
	a.mu.Unlock()
	if at := a.chat.Revoked(); !at.IsZero() {
		s.Revoked = api.Time{Time: at}
	}
	if s.Relays, err = a.chat.Relays(ctx); err != nil {
		return s, storeProblem(err)
	}
	s.Choice = a.chat.Choice()
	if !a.cfg.Brief {
		v, err := a.friends.view(ctx)
		if err != nil {
			return s, storeProblem(err)
		}
		s.FriendsRelay = &v
		d := a.dht.Status()
		s.DHT = &api.DHT{Peers: d.Peers, Server: d.Server, Servers: d.Size, Ways: d.Ways}
		for _, x := range d.Alarms {
			s.DHT.Alarms = append(s.DHT.Alarms, dhtAlarm(x))
		}
	}
	err = a.store.View(ctx, func(tx *store.Tx) error {
		people, err := tx.Contacts()
		if err != nil {
			return err
		}
		for _, p := range people {
			if listed(p) {
				s.Contacts++
			}
		}
		n, err := tx.Undelivered(time.Now())
		if err != nil {
			return err
		}
		s.Waiting, s.Queued, s.Asked = n.Waiting, n.Queued, n.Asked
		s.OutOfTouch, err = tx.ContactsWaiting(string(problem.OutOfTouch))
		return err
	})
	return s, storeProblem(err)
}

// dhtAlarm is an alarm of the DHT in words.
func dhtAlarm(x dht.Alarm) api.DHTAlarm {
	code, more := problem.DHTCrowd, ""
	switch x.Kind {
	case dht.Shrunk:
		code, more = problem.DHTShrunk, fmt.Sprintf(": some %d servers, where there were %d", x.Now, x.Before)
	case dht.Split:
		code = problem.DHTSplit
	}
	p, _ := problem.Lookup(code)
	return api.DHTAlarm{Code: string(code), Reason: p.What + more, Since: api.Time{Time: x.Since}, Last: api.Time{Time: x.Last}}
}

func (a *App) addrs() (list []string) {
	for _, addr := range a.node.PeerAddrs() {
		list = append(list, addr.String())
	}
	return list
}

func (a *App) protection() api.Protection {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch a.vault.Protection() {
	case vault.ByKeyring:
		return api.Protection{Kind: api.ByKeyring, Means: "The keys are sealed with a key that lies in this computer's keyring: who copies the profile without it cannot open it."}
	case vault.ByPassphrase:
		return api.Protection{Kind: api.ByPassphrase, Means: "The keys are sealed with your passphrase: who has the profile must guess it."}
	}
	return api.Protection{Kind: api.ByFile, Means: "The keys are sealed with a key in a file beside them: only file permissions protect it. `godwit lock` sets a passphrase."}
}

// Invite implements api.Backend.
func (a *App) Invite(ctx context.Context, r api.InviteRequest) (api.Invitation, error) {
	kind := identity.Single
	if r.Reusable {
		kind = identity.Reusable
	}
	id, err := a.chat.Invite(ctx, kind, time.Duration(r.Expires))
	if err != nil {
		return api.Invitation{}, storeProblem(err)
	}
	return a.invitation(ctx, id)
}

func (a *App) invitation(ctx context.Context, id store.InvitationID) (v api.Invitation, err error) {
	err = a.store.View(ctx, func(tx *store.Tx) error {
		inv, err := tx.Invitation(id)
		if err != nil {
			return err
		}
		v, err = invitationView(tx, inv)
		return err
	})
	return v, storeProblem(err)
}

func invitationView(tx *store.Tx, inv store.Invitation) (api.Invitation, error) {
	v := api.Invitation{ID: inv.ID.String(), Expires: api.Time{Time: inv.Expires}, Kind: "single", State: string(inv.State)}
	if inv.Kind == identity.Reusable {
		v.Kind = "reusable"
	}
	if inv.State == store.InvitationOpen && time.Now().After(inv.Expires) {
		v.State = "expired"
	}
	if v.State == "open" {
		v.Link = inv.Link
	}
	at, err := tx.InvitationRelays(inv.ID)
	for _, r := range at {
		if !r.Posted.IsZero() && r.Closed.IsZero() {
			v.Relays++
		}
	}
	switch {
	case v.State != "open":
	case len(at) == 0:
		v.Notice = "No relay holds this invitation: it can be accepted only while this node runs, until it stops."
	case v.Relays == 0:
		v.Notice = "No relay holds this invitation yet. It is left there as soon as one can be reached."
	case inv.Kind == identity.Reusable && err == nil:
		var lost bool
		if lost, err = unreachable(tx, inv); lost {
			v.Notice = "The link names no relay any more that this account uses: make a new one."
		}
	}
	return v, err
}

// unreachable says whether all relays in the link of an address were given up.
func unreachable(tx *store.Tx, inv store.Invitation) (bool, error) {
	known, err := identity.ParseLink(inv.Link)
	if err != nil {
		return false, err
	}
	relays, err := tx.UsualRelays()
	named := 0
	for _, h := range known.Hints {
		if h.Kind != identity.HintRelay {
			continue
		}
		named++
		for _, r := range relays {
			if r.Peer == store.PeerID(h.Peer) && r.Removed.IsZero() {
				return false, err
			}
		}
	}
	return named > 0, err
}

// Invites implements api.Backend.
func (a *App) Invites(ctx context.Context, _ api.InvitesRequest) (list []api.Invitation, err error) {
	err = a.store.View(ctx, func(tx *store.Tx) error {
		all, err := tx.Invitations()
		if err != nil {
			return err
		}
		for _, inv := range all {
			v, err := invitationView(tx, inv)
			if err != nil {
				return err
			}
			list = append(list, v)
		}
		return nil
	})
	return list, storeProblem(err)
}

// RevokeInvite implements api.Backend.
func (a *App) RevokeInvite(ctx context.Context, r api.InvitationRequest) (api.Invitation, error) {
	var id store.InvitationID
	raw, err := hex.DecodeString(r.ID)
	if err != nil || len(raw) != len(id) {
		return api.Invitation{}, problem.New(problem.NoSuchInvitation, nil)
	}
	id = store.InvitationID(raw)
	if err := a.chat.Revoke(ctx, id); err != nil {
		return api.Invitation{}, storeProblem(err)
	}
	return a.invitation(ctx, id)
}

// Accept implements api.Backend.
func (a *App) Accept(ctx context.Context, r api.AcceptRequest) (api.Accepted, error) {
	met, err := a.chat.Accept(ctx, r.Link, r.Name, r.Message)
	if err != nil {
		return api.Accepted{}, storeProblem(err)
	}
	v, err := a.accepted(ctx, met)
	if inv, lerr := identity.ParseLink(r.Link); lerr == nil {
		v.Asked = inv.Kind == identity.Reusable
	}
	return v, err
}

// accepted is a contact that was just made.
func (a *App) accepted(ctx context.Context, met chat.Met) (api.Accepted, error) {
	who, err := a.contactByRow(ctx, met.Contact)
	v := api.Accepted{Contact: who.Account.String(), Name: chat.DisplayName(who)}
	for _, relay := range met.SeenBy {
		v.SeenBy = append(v.SeenBy, relay.String())
	}
	return v, err
}

// Introduce implements api.Backend.
func (a *App) Introduce(ctx context.Context, r api.IntroduceRequest) (api.Sent, error) {
	sent, err := a.chat.Introduce(ctx, named(r.Contact), named(r.To), r.Wait, limit(r.Timeout))
	return waited(ctx, sent, r.Wait, err)
}

// AcceptIntroduction implements api.Backend.
func (a *App) AcceptIntroduction(ctx context.Context, r api.AcceptIntroductionRequest) (api.Accepted, error) {
	met, step, err := a.chat.AcceptIntroduction(ctx, r.ID, r.Name)
	if err != nil {
		return api.Accepted{}, storeProblem(err)
	}
	if met.Contact == 0 {
		return api.Accepted{Contact: step.Account.String(), Name: step.Name, Asked: true}, nil
	}
	return a.accepted(ctx, met)
}

// listed says whether a contact is shown among the people. A stranger is, while blocked.
func listed(p store.Contact) bool {
	return p.Removed.IsZero() && p.Kind != store.ContactSelf && (p.Kind != store.ContactRequest || !p.Blocked.IsZero())
}

func contactView(p store.Contact) api.Contact {
	v := api.Contact{ID: chat.ContactID(p), Name: chat.DisplayName(p), Kind: chat.Kind(p), Verified: !p.Verified.IsZero(), Blocked: !p.Blocked.IsZero(), Frozen: p.Frozen}
	if p.Name != v.Name {
		v.Claims = p.Name
	}
	return v
}

func (a *App) contactByRow(ctx context.Context, row int64) (who store.Contact, err error) {
	err = a.store.View(ctx, func(tx *store.Tx) error {
		who, err = tx.Contact(row)
		return err
	})
	return who, storeProblem(err)
}

// find is the contact that a person means: a petname, an account id, or a
// beginning of one that no other contact's has.
// Errors: problem.NoSuchContact, AmbiguousContact.
func (a *App) find(ctx context.Context, name string) (who store.Contact, err error) {
	err = a.store.View(ctx, func(tx *store.Tx) error {
		who, err = lookUp(tx, name)
		return err
	})
	return who, storeProblem(err)
}

// named is lookUp of a name.
func named(name string) chat.Find {
	return func(tx *store.Tx) (store.Contact, error) { return lookUp(tx, name) }
}

// lookUp is find inside a transaction.
func lookUp(tx *store.Tx, name string) (store.Contact, error) {
	if who, err := chat.Local(tx, name); !errors.Is(err, store.ErrNotFound) {
		return who, err
	}
	who, err := exact(tx, name)
	if err == nil && listed(who) || err != nil && !errors.Is(err, store.ErrNotFound) {
		return who, err
	}
	people, err := tx.Contacts()
	if err != nil {
		return who, err
	}
	name = strings.ToLower(name) // account ids are in lower case
	short := false
	var found []store.Contact
	for _, p := range people {
		if name == "" || !listed(p) || !strings.HasPrefix(p.Account.String(), name) {
			continue
		}
		if len(name) < chat.MinPrefix {
			short = true
			continue
		}
		found = append(found, p)
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return who, problem.Newf(problem.AmbiguousContact, "%q", name)
	case short:
		return who, problem.Newf(problem.NoSuchContact, "%q is too little of an account id: give at least %d letters", name, chat.MinPrefix)
	}
	return who, problem.Newf(problem.NoSuchContact, "%q", name)
}

// exact is the contact of this petname or account id, or store.ErrNotFound.
func exact(tx *store.Tx, name string) (store.Contact, error) {
	if name == "" {
		return store.Contact{}, store.ErrNotFound
	}
	if id, err := identity.ParseAccountID(strings.ToLower(name)); err == nil {
		return tx.ContactByAccount(id)
	}
	return tx.ContactByPetname(name)
}

// Requests implements api.Backend.
func (a *App) Requests(ctx context.Context, _ api.RequestsRequest) ([]api.Request, error) {
	list, err := a.chat.Requests(ctx)
	return list, storeProblem(err)
}

// request is the account of the request that a person means by an account id, or by a
// beginning of one that no other request has. Errors: problem.NoSuchRequest.
func (a *App) request(ctx context.Context, id string) (identity.AccountID, error) {
	list, err := a.chat.Requests(ctx)
	if err != nil {
		return identity.AccountID{}, storeProblem(err)
	}
	id = strings.ToLower(id)
	var found []string
	for _, q := range list {
		if len(id) >= chat.MinPrefix && strings.HasPrefix(q.ID, id) {
			found = append(found, q.ID)
		}
	}
	if len(found) != 1 {
		return identity.AccountID{}, problem.Newf(problem.NoSuchRequest, "%q fits %d of %d", id, len(found), len(list))
	}
	return identity.ParseAccountID(found[0])
}

// AcceptRequest implements api.Backend.
func (a *App) AcceptRequest(ctx context.Context, r api.DecideRequest) (api.Contact, error) {
	account, err := a.request(ctx, r.ID)
	if err != nil {
		return api.Contact{}, err
	}
	row, err := a.chat.AcceptRequest(ctx, account, r.Name)
	if err != nil {
		return api.Contact{}, storeProblem(err)
	}
	who, err := a.contactByRow(ctx, row)
	return contactView(who), err
}

// IgnoreRequest implements api.Backend.
func (a *App) IgnoreRequest(ctx context.Context, r api.DecideRequest) (api.Decided, error) {
	account, err := a.request(ctx, r.ID)
	if err == nil {
		err = storeProblem(a.chat.IgnoreRequest(ctx, account))
	}
	return api.Decided{ID: account.String()}, err
}

// BlockRequest implements api.Backend.
func (a *App) BlockRequest(ctx context.Context, r api.DecideRequest) (api.Contact, error) {
	account, err := a.request(ctx, r.ID)
	if err != nil {
		return api.Contact{}, err
	}
	row, err := a.chat.BlockRequest(ctx, account)
	if err != nil {
		return api.Contact{}, storeProblem(err)
	}
	who, err := a.contactByRow(ctx, row)
	return contactView(who), err
}

// Contacts implements api.Backend.
func (a *App) Contacts(ctx context.Context, _ api.ContactsRequest) (list []api.Contact, err error) {
	err = a.store.View(ctx, func(tx *store.Tx) error {
		people, err := tx.Contacts()
		if err != nil {
			return err
		}
		names := make(map[int64]string)
		for _, p := range people {
			if p.Removed.IsZero() {
				names[p.ID] = chat.DisplayName(p)
			}
		}
		marks, err := chat.LooksLike(tx, people)
		for _, p := range people {
			if !listed(p) {
				continue
			}
			v := contactView(p)
			v.LooksLike, v.Introduced = marks[p.ID], names[p.Introducer]
			at, err := tx.LastRevoked(p.ID)
			if err != nil {
				return err
			}
			if !at.IsZero() {
				v.Recovered = api.Time{Time: at}
			}
			list = append(list, v)
		}
		return err
	})
	sort.SliceStable(list, func(i, j int) bool { return store.PetnameKey(list[i].Name) < store.PetnameKey(list[j].Name) })
	return list, storeProblem(err)
}

// RenameContact implements api.Backend.
func (a *App) RenameContact(ctx context.Context, r api.RenameRequest) (api.Contact, error) {
	who, err := a.find(ctx, r.Contact)
	if err != nil {
		return api.Contact{}, err
	}
	who, err = a.chat.Rename(ctx, who.ID, r.Name)
	return contactView(who), storeProblem(err)
}

// BlockContact implements api.Backend.
func (a *App) BlockContact(ctx context.Context, r api.ContactRequest) (api.Contact, error) {
	who, err := a.find(ctx, r.Contact)
	if err != nil {
		return api.Contact{}, err
	}
	who, err = a.chat.ChangeContact(ctx, who.ID, "blocked", func(c *store.Contact) error {
		c.Blocked = time.Now()
		return nil
	})
	if err == nil {
		a.friends.look()
		err = a.chat.HangUp(ctx, who.ID)
	}
	return contactView(who), storeProblem(err)
}

// UnblockContact implements api.Backend.
func (a *App) UnblockContact(ctx context.Context, r api.ContactRequest) (api.Contact, error) {
	who, err := a.find(ctx, r.Contact)
	if err != nil {
		return api.Contact{}, err
	}
	who, err = a.chat.ChangeContact(ctx, who.ID, "unblocked", func(c *store.Contact) error {
		c.Blocked = time.Time{}
		return nil
	})
	if err == nil {
		a.friends.look()
		err = a.chat.Fetch(ctx, who.ID)
	}
	return contactView(who), storeProblem(err)
}

// RemoveContact implements api.Backend.
func (a *App) RemoveContact(ctx context.Context, r api.ContactRequest) (api.Contact, error) {
	who, err := a.find(ctx, r.Contact)
	if err != nil {
		return api.Contact{}, err
	}
	err = a.chat.RemoveContact(ctx, who.ID)
	a.friends.look()
	return contactView(who), storeProblem(err)
}

// Verify implements api.Backend.
func (a *App) Verify(ctx context.Context, r api.VerifyRequest) (api.SafetyNumber, error) {
	who, err := a.find(ctx, r.Contact)
	if err != nil {
		return api.SafetyNumber{}, err
	}
	if who.Root == nil {
		return api.SafetyNumber{}, problem.Newf(problem.NoSuchContact, "the keys of %s are not known yet", chat.DisplayName(who))
	}
	if r.Confirm {
		who, err = a.chat.ChangeContact(ctx, who.ID, "verified", func(c *store.Contact) error {
			c.Verified = time.Now()
			return nil
		})
		if err != nil {
			return api.SafetyNumber{}, storeProblem(err)
		}
	}
	number := strings.Join(identity.SafetyGroups(identity.SafetyNumber(a.account.Root, *who.Root)), " ")
	return api.SafetyNumber{Contact: who.Account.String(), Name: chat.DisplayName(who), Number: number, Verified: !who.Verified.IsZero()}, nil
}

// defaultWait is how long Send waits unless told otherwise.
const defaultWait = 30 * time.Second

// Send implements api.Backend.
func (a *App) Send(ctx context.Context, r api.SendRequest) (api.Sent, error) {
	sent, err := a.chat.Send(ctx, named(r.Contact), chat.Words{Text: r.Text, Reply: r.ReplyTo}, r.Wait, limit(r.Timeout))
	return waited(ctx, sent, r.Wait, err)
}

// limit is how long a request waits.
func limit(timeout api.Duration) time.Duration {
	if timeout == 0 {
		return defaultWait
	}
	return time.Duration(timeout)
}

// waited is the answer to a request that may have waited.
func waited(ctx context.Context, sent api.Sent, want api.State, err error) (api.Sent, error) {
	if err == nil && ctx.Err() != nil && !sent.State.Meets(want) {
		err = ctx.Err() // the caller left; it is not the time that is over
	}
	return sent, storeProblem(err)
}

// SetTimer implements api.Backend.
func (a *App) SetTimer(ctx context.Context, r api.SetTimerRequest) (api.Sent, error) {
	sent, err := a.chat.SetTimer(ctx, named(r.Contact), time.Duration(r.After), r.Wait, limit(r.Timeout))
	return waited(ctx, sent, r.Wait, err)
}

// Typing implements api.Backend.
func (a *App) Typing(ctx context.Context, r api.TypingRequest) (api.Typed, error) {
	return api.Typed{}, storeProblem(a.chat.Typing(ctx, named(r.Contact), !r.Stopped))
}

// Settings implements api.Backend.
func (a *App) Settings(context.Context, api.SettingsRequest) (api.Settings, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.settings, nil
}

// SetSettings implements api.Backend.
func (a *App) SetSettings(_ context.Context, r api.SetSettingsRequest) (api.Settings, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, values := a.settings, make(map[string]string)
	set := func(key string, to *bool, is *bool) {
		if to == nil {
			return
		}
		*is, values[key] = *to, "off"
		if *to {
			values[key] = "on"
		}
	}
	set("read_receipts", r.ReadReceipts, &now.ReadReceipts)
	set("typing", r.Typing, &now.Typing)
	if len(values) == 0 {
		return now, nil
	}
	if err := config.Change(a.cfg.Dirs.ConfigFile, values); err != nil {
		return a.settings, err
	}
	a.settings = now
	a.chat.Share(chat.Shared(now))
	return now, nil
}

// defaultMessages is how many messages are read if nobody says how many.
const defaultMessages = 50

// React implements api.Backend.
func (a *App) React(ctx context.Context, r api.ReactRequest) (api.Sent, error) {
	sent, err := a.chat.React(ctx, r.ID, r.Emoji, r.Wait, limit(r.Timeout))
	return waited(ctx, sent, r.Wait, err)
}

// Edit implements api.Backend.
func (a *App) Edit(ctx context.Context, r api.EditRequest) (api.Sent, error) {
	sent, err := a.chat.Edit(ctx, r.ID, r.Text, r.Wait, limit(r.Timeout))
	return waited(ctx, sent, r.Wait, err)
}

// Delete implements api.Backend.
func (a *App) Delete(ctx context.Context, r api.DeleteRequest) (api.Sent, error) {
	if !r.ForBoth {
		sent, err := a.chat.DeleteForMe(ctx, r.ID)
		return sent, storeProblem(err)
	}
	sent, err := a.chat.DeleteForBoth(ctx, r.ID, r.Wait, limit(r.Timeout))
	return waited(ctx, sent, r.Wait, err)
}

// Forward implements api.Backend.
func (a *App) Forward(ctx context.Context, r api.ForwardRequest) (api.Sent, error) {
	sent, err := a.chat.Forward(ctx, r.ID, named(r.Contact), r.Wait, limit(r.Timeout))
	return waited(ctx, sent, r.Wait, err)
}

// Messages implements api.Backend.
func (a *App) Messages(ctx context.Context, r api.MessagesRequest) ([]api.Message, error) {
	who, err := a.find(ctx, r.Contact)
	if err != nil {
		return nil, err
	}
	at := chat.Page{Before: r.Before, After: r.After, Around: r.Around}
	if id := cmp.Or(at.Before, at.After, at.Around); at != (chat.Page{}) && at != (chat.Page{Before: id}) && at != (chat.Page{After: id}) && at != (chat.Page{Around: id}) {
		return nil, problem.Newf(problem.BadRequest, "before, after and around exclude each other")
	}
	list, err := a.chat.Messages(ctx, who, at, pageLimit(r.Limit))
	return list, storeProblem(err)
}

// pageLimit is how many messages are read for somebody who asks for so many.
func pageLimit(wanted int) int {
	if wanted <= 0 {
		return defaultMessages
	}
	return min(wanted, api.MaxMessages)
}

// Trail implements api.Backend.
func (a *App) Trail(ctx context.Context, r api.TrailRequest) ([]api.Step, error) {
	list, err := a.chat.Trail(ctx, r.ID)
	return list, storeProblem(err)
}

// Events implements api.Backend.
func (a *App) Events(ctx context.Context, _ api.EventsRequest, each func(api.Event) error) error {
	ready := api.Event{Event: api.EventReady, At: api.Time{Time: time.Now()}, Account: a.account.ID.String(), Peer: a.node.Host().ID().String(),
		Addrs: a.addrs(), Network: string(a.cfg.Network)}
	return a.chat.Events(ctx, ready, each)
}

// Conversations implements api.Backend.
func (a *App) Conversations(ctx context.Context, r api.ConversationsRequest) ([]api.Conversation, error) {
	var only []chat.Find
	for _, name := range r.Only {
		only = append(only, named(name))
	}
	list, err := a.chat.Conversations(ctx, only...)
	return list, storeProblem(err)
}

// SetConversation implements api.Backend.
func (a *App) SetConversation(ctx context.Context, r api.SetConversationRequest) (api.Conversation, error) {
	v, err := a.chat.SetConversation(ctx, named(r.Conversation), r)
	return v, storeProblem(err)
}

// MarkRead implements api.Backend.
func (a *App) MarkRead(ctx context.Context, r api.MarkReadRequest) (api.Conversation, error) {
	v, err := a.chat.MarkRead(ctx, named(r.Conversation), r.UpTo)
	return v, storeProblem(err)
}

// Star implements api.Backend.
func (a *App) Star(ctx context.Context, r api.StarRequest) (api.Message, error) {
	m, err := a.chat.Star(ctx, r.ID, r.Starred)
	return m, storeProblem(err)
}

// PinMessage implements api.Backend.
func (a *App) PinMessage(ctx context.Context, r api.PinMessageRequest) (api.Message, error) {
	m, err := a.chat.PinMessage(ctx, r.ID, r.Pinned)
	return m, storeProblem(err)
}

// Marked implements api.Backend.
func (a *App) Marked(ctx context.Context, r api.MarkedRequest) ([]api.Message, error) {
	var with chat.Find
	switch {
	case r.Conversation != "":
		with = named(r.Conversation)
	case r.Mark == api.MarkPinned:
		return nil, problem.Newf(problem.BadRequest, "messages are pinned in a conversation: it has to be named")
	}
	if r.Mark != api.MarkPinned && r.Mark != api.MarkStarred {
		return nil, problem.Newf(problem.BadRequest, "%q is no mark", r.Mark)
	}
	list, err := a.chat.Marked(ctx, r.Mark, with, r.Before, pageLimit(r.Limit))
	return list, storeProblem(err)
}

// The bounds of Search: how many messages are found unless told otherwise, and how many
// bytes may be looked for.
const defaultFound, maxSearch = 20, 4096

// Search implements api.Backend.
func (a *App) Search(ctx context.Context, r api.SearchRequest) (api.Found, error) {
	if len(r.Text) > maxSearch {
		return api.Found{}, problem.Newf(problem.BadRequest, "more than %d bytes to look for", maxSearch)
	}
	var with chat.Find
	if r.Conversation != "" {
		with = named(r.Conversation)
	}
	limit := r.Limit
	if limit <= 0 {
		limit = defaultFound
	}
	found, err := a.chat.Search(ctx, r.Text, with, r.Before, min(limit, api.MaxFound))
	return found, storeProblem(err)
}

// AddEcho implements api.Backend.
func (a *App) AddEcho(ctx context.Context, r api.AddEchoRequest) (api.Conversation, error) {
	v, err := a.chat.AddEcho(ctx, r.Greeting)
	return v, storeProblem(err)
}

// AddRelay implements api.Backend.
func (a *App) AddRelay(ctx context.Context, r api.AddRelayRequest) (api.Relay, error) {
	at, err := parsePeer(r.Addr, node.Mode(a.cfg.Network))
	if err != nil {
		return api.Relay{}, err
	}
	var token []byte
	if r.Token != "" {
		if token, err = config.ParseToken(r.Token); err != nil {
			return api.Relay{}, problem.New(problem.BadToken, err)
		}
	}
	if err := a.chat.AddRelay(ctx, at, store.RelayByHand, token); err != nil {
		return api.Relay{}, storeProblem(err)
	}
	return a.relay(ctx, at.ID.String())
}

// relay is the relay of this account that is meant by a PeerID, a beginning of
// one, or an address with it.
func (a *App) relay(ctx context.Context, name string) (api.Relay, error) {
	list, err := a.chat.Relays(ctx)
	if err != nil {
		return api.Relay{}, storeProblem(err)
	}
	if i := strings.LastIndex(name, "/p2p/"); i >= 0 {
		name = name[i+len("/p2p/"):]
	}
	const least = len("12D3KooW") + chat.MinPrefix // every relay's begins so: the mark of an Ed25519 key
	var found []api.Relay
	for _, r := range list {
		if r.Relay == name {
			return r, nil
		}
		if len(name) >= least && strings.HasPrefix(r.Relay, name) {
			found = append(found, r)
		}
	}
	switch {
	case len(found) > 1:
		return api.Relay{}, problem.Newf(problem.NoSuchRelay, "more than one begins with %q", name)
	case len(found) == 0 && len(name) < least:
		return api.Relay{}, problem.Newf(problem.NoSuchRelay, "%q is too little of a peer id: give at least %d letters", name, least)
	case len(found) == 0:
		return api.Relay{}, problem.Newf(problem.NoSuchRelay, "%q", name)
	}
	return found[0], nil
}

// RemoveRelay implements api.Backend.
func (a *App) RemoveRelay(ctx context.Context, r api.RelayRequest) (api.Relay, error) {
	v, err := a.relay(ctx, r.Relay)
	if err != nil {
		return v, err
	}
	id, err := peer.Decode(v.Relay)
	if err != nil {
		return v, problem.New(problem.NoSuchRelay, err)
	}
	if err := a.chat.RemoveRelay(ctx, id); err != nil {
		return v, storeProblem(err)
	}
	return v, storeProblem(a.friends.disown(ctx, id))
}

// Relays implements api.Backend.
func (a *App) Relays(ctx context.Context, _ api.RelaysRequest) ([]api.Relay, error) {
	list, err := a.chat.Relays(ctx)
	return list, storeProblem(err)
}

// Phrase implements api.Backend.
func (a *App) Phrase(_ context.Context, r api.PhraseRequest) (api.Phrase, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	entropy := a.vault.Secrets().Entropy
	if entropy == nil {
		return api.Phrase{}, problem.New(problem.WordsGone, nil)
	}
	if r.Written {
		return api.Phrase{Forgotten: true}, vaultProblem(a.vault.ForgetEntropy())
	}
	return api.Phrase{Words: identity.Phrase(*entropy)}, nil
}

// maxPassphrase bounds a passphrase, in bytes.
const maxPassphrase = 1024

// Lock implements api.Backend.
func (a *App) Lock(_ context.Context, r api.LockRequest) (api.Protection, error) {
	if r.Passphrase == "" || len(r.Passphrase) > maxPassphrase || strings.ContainsAny(r.Passphrase, "\r\n") {
		return api.Protection{}, problem.New(problem.BadPassphrase, nil)
	}
	a.mu.Lock()
	err := a.relock([]byte(r.Present), []byte(r.Passphrase))
	a.mu.Unlock()
	return a.protection(), err
}

func (a *App) relock(present, passphrase []byte) error {
	if a.vault.Protection() == vault.ByPassphrase {
		if len(present) == 0 {
			return problem.Newf(problem.Locked, "the passphrase that it has is needed to set another")
		}
		if err := a.prove(present); err != nil {
			return err
		}
	}
	return vaultProblem(a.vault.SetPassphrase(passphrase))
}

// prove checks the passphrase: who sits at an unlocked program need not be who
// set it.
func (a *App) prove(passphrase []byte) error {
	_, err := vault.Open(a.cfg.Dirs.Data, vault.Options{Passphrase: passphrase})
	return vaultProblem(err)
}

// Unlock implements api.Backend.
func (a *App) Unlock(_ context.Context, r api.UnlockRequest) (api.Protection, error) {
	a.mu.Lock()
	err := a.unlock([]byte(r.Passphrase))
	a.mu.Unlock()
	return a.protection(), err
}

func (a *App) unlock(passphrase []byte) error {
	if a.vault.Protection() != vault.ByPassphrase {
		return problem.New(problem.NotLocked, nil)
	}
	if err := a.prove(passphrase); err != nil {
		return err
	}
	how := vault.ByKeyring
	if a.cfg.Dirs.Profile != "" {
		how = vault.ByKeyFile
	}
	err := a.vault.RemovePassphrase(how)
	if errors.Is(err, vault.ErrNoKeyring) {
		err = a.vault.RemovePassphrase(vault.ByKeyFile)
	}
	return vaultProblem(err)
}

// ShowWindow implements api.Backend.
func (a *App) ShowWindow(ctx context.Context, r api.ShowWindowRequest) (api.Shown, error) {
	return ShowWindow(ctx, a.cfg, r)
}

// ShowWindow is App.ShowWindow while a window has no account open yet.
func ShowWindow(ctx context.Context, cfg config.Config, r api.ShowWindowRequest) (api.Shown, error) {
	if cfg.Window == nil {
		return api.Shown{}, problem.New(problem.NoWindow, nil)
	}
	var what link.Link
	if r.Link != "" {
		var err error
		if what, err = link.Parse(r.Link); err != nil {
			return api.Shown{}, problem.New(problem.BadLink, err)
		}
	}
	return api.Shown{PID: os.Getpid()}, cfg.Window(ctx, what, r.Token)
}
