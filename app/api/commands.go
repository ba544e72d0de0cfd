package api

import (
	"context"
	"time"
)

// Backend is what a Godwit account can do: one method for each command. The
// app implements it; Client is the same over the local API, so the command line
// does not know which of the two it holds.
//
// Errors are problems (package problem) wherever the person can do something
// about them. Lists are in the order in which they are shown. A CONTACT is a
// petname, an account id, or a unique prefix of one.
type Backend interface {
	// Status tells how the account is doing at this moment.
	Status(context.Context, StatusRequest) (Status, error)

	// Invite makes an invitation, or with Reusable an address by which strangers can ask
	// to be contacts. It returns once the invitation is durable here
	// and its notice is at the relays that could be reached.
	Invite(context.Context, InviteRequest) (Invitation, error)
	// Invites lists the invitations that were made here, oldest first.
	Invites(context.Context, InvitesRequest) ([]Invitation, error)
	// RevokeInvite ends an open invitation, here and at the relays.
	// Errors: problem.NoSuchInvitation.
	RevokeInvite(context.Context, InvitationRequest) (Invitation, error)
	// Accept adds the inviter as a contact. It returns once the first flight is
	// durable here. Errors: problem.NotAnInvitation, InvitationGone,
	// OwnInvitation, InvitationUnreachable, NoOtherRelay, InvitationForged, BadName, BadText.
	Accept(context.Context, AcceptRequest) (Accepted, error)

	// Requests lists the strangers who wrote by a reusable address and wait for a
	// decision, oldest first. Nothing is answered to them before it is made.
	Requests(context.Context, RequestsRequest) ([]Request, error)
	// AcceptRequest makes a contact of a stranger; all that they sent arrives.
	// Errors, as of the two methods after it: problem.NoSuchRequest; and BadName, ContactFrozen.
	AcceptRequest(context.Context, DecideRequest) (Contact, error)
	// IgnoreRequest forgets a request; the stranger is told nothing, and what else they
	// send within 30 days is dropped.
	IgnoreRequest(context.Context, DecideRequest) (Decided, error)
	// BlockRequest forgets a request and blocks the account, until UnblockContact.
	BlockRequest(context.Context, DecideRequest) (Contact, error)

	// Contacts lists people by name. Echo and Notes to self are not listed.
	Contacts(context.Context, ContactsRequest) ([]Contact, error)
	// RenameContact gives a contact another petname. Errors, as of the three
	// methods after it: problem.NoSuchContact, AmbiguousContact; and BadName.
	RenameContact(context.Context, RenameRequest) (Contact, error)
	// BlockContact stops taking anything from a contact and sending to it.
	BlockContact(context.Context, ContactRequest) (Contact, error)
	// UnblockContact takes BlockContact back.
	UnblockContact(context.Context, ContactRequest) (Contact, error)
	// RemoveContact forgets a contact, its sessions and its history.
	RemoveContact(context.Context, ContactRequest) (Contact, error)
	// Verify tells the safety number shared with a contact, and with Confirm
	// marks it compared.
	Verify(context.Context, VerifyRequest) (SafetyNumber, error)

	// Send queues a message and, if asked to wait, follows it until its state
	// meets Wait, it failed, or Timeout is over; then it returns what is known.
	// A wait that was not met is not an error here: compare with State.Meets.
	// Errors: problem.NoSuchContact, AmbiguousContact, ContactBlocked,
	// ContactFrozen, BadText, DiskFull; of an answered message NoSuchMessage, MessageGone.
	Send(context.Context, SendRequest) (Sent, error)
	// React reacts to a message of either side; an empty emoji takes that back. It waits as
	// Send does, for the other side to have it, and so do the methods after it.
	// Errors: problem.NoSuchMessage, MessageGone, WrongKind, ContactBlocked, ContactFrozen, BadReaction.
	React(context.Context, ReactRequest) (Sent, error)
	// Edit puts another text in the place of one's own message's; when it was said stays.
	// Errors: problem.NotYours, BadText, and those of React.
	Edit(context.Context, EditRequest) (Sent, error)
	// Delete removes a message from this device. With ForBoth, for one's own, the other
	// side's device is asked to do the same, and the line stays here as one that says it was deleted.
	// Without it the answer names the message alone. Errors: problem.NotYours, and those of React.
	Delete(context.Context, DeleteRequest) (Sent, error)
	// Forward sends the text of a message to a contact, marked as somebody else's words.
	// Errors: problem.NoSuchMessage, MessageGone, WrongKind, and those of Send.
	Forward(context.Context, ForwardRequest) (Sent, error)
	// Introduce asks a contact whether another one may write to them; if they agree the
	// other is told how. Errors: problem.CannotIntroduce, and those of Send for either contact.
	Introduce(context.Context, IntroduceRequest) (Sent, error)
	// AcceptIntroduction says yes to an introduction: who was asked has the other person told
	// how to write to them, and who is told adds them as Accept does.
	// Errors: problem.NoSuchMessage, WrongKind, AlreadyContact, and those of Invite or Accept.
	AcceptIntroduction(context.Context, AcceptIntroductionRequest) (Accepted, error)
	// SetTimer has texts that are written from now on disappear on both sides, so long after
	// they were read. Errors: problem.BadTimer, and those of Send for a contact.
	SetTimer(context.Context, SetTimerRequest) (Sent, error)
	// Typing tells a contact that the person is writing, if that is shared and the contact is
	// connected directly; a window may call it at each key, as it is told every 5 s at most.
	Typing(context.Context, TypingRequest) (Typed, error)
	// Settings tells what the person has chosen, and SetSettings changes it, at once and in
	// config.toml. Errors: problem.ConfigSyntax, NotPermitted, DiskFull.
	Settings(context.Context, SettingsRequest) (Settings, error)
	SetSettings(context.Context, SetSettingsRequest) (Settings, error)
	// Messages reads a conversation, oldest first: the newest Limit messages, or a page
	// before, after or around a message. They are fewer where more than 8 MiB were said; the
	// page before, or after, has the rest. Errors: problem.NoSuchContact, NoSuchMessage,
	// BadRequest.
	Messages(context.Context, MessagesRequest) ([]Message, error)
	// Trail tells what became of one message of one's own: each step, in order,
	// with the proof it rests on checked again. Errors: problem.NoSuchMessage.
	Trail(context.Context, TrailRequest) ([]Step, error)

	// Conversations lists the conversations: those that are pinned first, and then by what
	// was said last. Those with nobody but oneself are listed once there is something in
	// them. Errors: those of finding a contact, for Only.
	Conversations(context.Context, ConversationsRequest) ([]Conversation, error)
	// SetConversation changes what a person does with a conversation: pins, mutes or
	// archives it, or keeps a draft. Errors: those of finding a contact; BadText.
	SetConversation(context.Context, SetConversationRequest) (Conversation, error)
	// MarkRead notes up to which message a conversation was read. Errors: those of finding
	// a contact; problem.NoSuchMessage.
	MarkRead(context.Context, MarkReadRequest) (Conversation, error)
	// Star marks a message. Errors: problem.NoSuchMessage.
	Star(context.Context, StarRequest) (Message, error)
	// PinMessage has a message stand above its conversation. Errors: problem.NoSuchMessage.
	PinMessage(context.Context, PinMessageRequest) (Message, error)
	// Marked reads starred or pinned messages, oldest first. Errors: those of finding a
	// contact; problem.NoSuchMessage, BadRequest.
	Marked(context.Context, MarkedRequest) ([]Message, error)
	// Search finds people by name and messages by their words. Errors: those of finding a
	// contact; problem.NoSuchMessage, BadRequest.
	Search(context.Context, SearchRequest) (Found, error)
	// AddEcho adds Echo, who lives on this computer and answers what it is told; if it is
	// there already nothing changes. It is removed as a contact is.
	AddEcho(context.Context, AddEchoRequest) (Conversation, error)

	// Events calls the function with everything that happens, in order and from
	// one goroutine, until the context ends or the function fails, and returns
	// that error. The first event is always ready; from then on nothing is
	// missed. Errors: problem.EventsLost.
	Events(context.Context, EventsRequest, func(Event) error) error

	// AddRelay keeps the account's box at one more relay. Adding one that is
	// there already changes its addresses and token. Errors: problem.BadAddress,
	// AddressNotInNet, BadToken, TooManyRelays.
	AddRelay(context.Context, AddRelayRequest) (Relay, error)
	// RemoveRelay gives a relay up. Errors: problem.NoSuchRelay.
	RemoveRelay(context.Context, RelayRequest) (Relay, error)
	// Relays lists the relays that the account keeps its box at.
	Relays(context.Context, RelaysRequest) ([]Relay, error)
	// FriendsRelay tells of the relay on this computer that keeps mail for contacts.
	FriendsRelay(context.Context, FriendsRelayRequest) (FriendsRelay, error)
	// SetFriendsRelay switches it on or off, and sets what it gives. It returns once the relay does so.
	// Switched off it takes nothing more, gives out what it keeps, and ends once that is fetched or
	// has expired. Errors: problem.BadRequest; RelayRunning, RelayData, RelayDir, CannotListen: it is wanted, and tried again.
	SetFriendsRelay(context.Context, SetFriendsRelayRequest) (FriendsRelay, error)
	// TestNetwork tries now, in some 15 s at most, whether the relays of the account and
	// the DHT answer, and how fast. What does not is in the answer and no error.
	TestNetwork(context.Context, TestNetworkRequest) (NetworkTest, error)

	// Phrase tells the recovery words, and with Written removes them from this
	// device. Errors: problem.WordsGone.
	Phrase(context.Context, PhraseRequest) (Phrase, error)
	// Lock puts the keys under a passphrase, in place of an earlier one if that
	// is given. Errors: problem.BadPassphrase; Locked and WrongPassphrase, of the
	// earlier one.
	Lock(context.Context, LockRequest) (Protection, error)
	// Unlock takes the passphrase off again. Errors: problem.WrongPassphrase,
	// NotLocked.
	Unlock(context.Context, UnlockRequest) (Protection, error)

	// ShowWindow brings the window of this account to the front, with what a link names.
	// It is how a second start of the desktop program finds the first, and hands it the
	// link that it was started with. Errors: problem.NoWindow, BadLink.
	ShowWindow(context.Context, ShowWindowRequest) (Shown, error)
}

// State is how far a message of one's own is known to have come: what is known
// by evidence, never what is hoped.
type State string

// The states in their order; Failed stands beside them.
const (
	Queued    State = "queued"    // waiting on this device
	Kept      State = "kept"      // at relays, by signed receipts
	Delivered State = "delivered" // on a device of theirs, by its acknowledgement
	Read      State = "read"      // read, if they share it
	Failed    State = "failed"    // expired or refused
)

// states are those that a message can wait for, in order.
var states = [...]State{Queued, Kept, Delivered, Read}

func (s State) rank() int {
	for i, t := range states {
		if s == t {
			return i
		}
	}
	return -1
}

// Valid says whether a message can wait for s: Failed is not waited for.
func (s State) Valid() bool { return s.rank() >= 0 }

// Meets says whether a message in state s fulfils a wait for want: any state as
// late or later does. Failed meets nothing.
func (s State) Meets(want State) bool { return s.rank() >= 0 && s.rank() >= want.rank() }

// ShowWindowRequest asks for the window.
type ShowWindowRequest struct {
	Link string `json:"link,omitempty"` // godwit:..., as package link reads it; empty: as the window is
	// Token is what the desktop gave the second start so that the window may come to
	// the front (XDG_ACTIVATION_TOKEN, DESKTOP_STARTUP_ID).
	Token string `json:"token,omitempty"`
}

// Shown is the program whose window was brought to the front.
type Shown struct {
	PID int `json:"pid"`
}

// Account is who lives in a profile.
type Account struct {
	Account string `json:"account"`        // account id
	Device  string `json:"device"`         // id of this device
	Name    string `json:"name,omitempty"` // what contacts are told at first contact
}

// InitRequest makes an account; RecoverRequest makes it from its words. They are
// not part of Backend: where a node can answer there is an account already.
type InitRequest struct {
	Name string `json:"name,omitempty"`
}

// RecoverRequest restores an account on a device that has none.
type RecoverRequest struct {
	Words string `json:"words"` // 24 words, separated by white space
	Name  string `json:"name,omitempty"`
}

// StatusRequest asks for Status.
type StatusRequest struct{}

// Status is how an account is doing.
type Status struct {
	Account string   `json:"account"`
	Device  string   `json:"device"`
	Name    string   `json:"name,omitempty"`
	Peer    string   `json:"peer,omitempty"`  // this start's PeerID, if the node runs
	Addrs   []string `json:"addrs,omitempty"` // multiaddrs with the PeerID
	Network string   `json:"network"`         // public, lan or loopback
	Private bool     `json:"private_routing"` // whether messages are left at relays by way of other relays
	// NeverStraight says that they wait where no other relay leads there.
	NeverStraight bool    `json:"never_straight,omitempty"`
	Relays        []Relay `json:"relays,omitempty"`
	// FriendsRelay is the relay on this computer for contacts, if the node runs.
	FriendsRelay *FriendsRelay `json:"friends_relay,omitempty"`
	Choice       *Choice       `json:"choice,omitempty"` // if relays are chosen
	DHT          *DHT          `json:"dht,omitempty"`    // if the node runs
	Contacts     int           `json:"contacts"`
	Connected    int           `json:"connected"`              // contacts that are connected directly now
	Waiting      int           `json:"waiting"`                // own messages and first flights without an acknowledgement from the other side
	Queued       int           `json:"queued"`                 // of these, those that are on this device only
	Asked        int           `json:"asked,omitempty"`        // of the queued, those that a device has seen whose owner has to decide: by a reusable address
	OutOfTouch   int           `json:"out_of_touch,omitempty"` // contacts for whom messages wait that none of the relays they named has taken for a day (MSG-10)
	Protection   Protection    `json:"protection"`
	Words        bool          `json:"words,omitempty"` // the recovery words are on this device still: see Phrase
	Version      string        `json:"version"`
	Started      Time          `json:"started,omitzero"`
	Revoked      Time          `json:"revoked,omitzero"` // when this device learned that the account was recovered on another
	PID          int           `json:"pid"`
}

// Choice is how the choice of relays stands.
type Choice struct {
	Wanted  int    `json:"wanted"`           // relays there should be
	Working int    `json:"working"`          // in use that do their work
	Alike   int    `json:"alike,omitempty"`  // in use that share an operator or a group of addresses with another
	Seeking bool   `json:"seeking"`          // one more is looked for
	Reason  string `json:"reason,omitempty"` // what is waited for
}

// DHT is the node's part in the distributed hash table by which contacts find each
// other when their addresses have changed.
type DHT struct {
	Peers   int        `json:"peers"`             // that are known; 0: nobody can be found this way
	Server  bool       `json:"server"`            // whether it keeps records for others
	Servers int        `json:"servers,omitempty"` // how many the whole of it has, by estimate; left out: unknown
	Ways    int        `json:"ways,omitempty"`    // ways in that answered; 1: that one decides what is seen
	Alarms  []DHTAlarm `json:"alarms,omitempty"`
}

// DHTAlarm is a reason to think that somebody decides what the DHT lets us find.
type DHTAlarm struct {
	Code   string `json:"code"`   // as of `godwit explain`
	Reason string `json:"reason"` // in words
	Since  Time   `json:"since"`
	Last   Time   `json:"last"` // when it was seen last; it goes half a day later
}

// The kinds of Protection.
const (
	ByKeyring    = "keyring"
	ByFile       = "file"
	ByPassphrase = "passphrase"
)

// Protection says what guards the keys at rest.
type Protection struct {
	Kind  string `json:"kind"`  // ByKeyring, ByFile or ByPassphrase
	Means string `json:"means"` // in plain words: what it protects from and what not
}

// InviteRequest makes an invitation.
type InviteRequest struct {
	Expires  Duration `json:"expires,omitempty"` // 0: 168h, of a reusable one 8760h
	Reusable bool     `json:"reusable,omitempty"`
}

// InvitationRequest names an invitation.
type InvitationRequest struct {
	ID string `json:"id"`
}

// InvitesRequest asks for all invitations.
type InvitesRequest struct{}

// Invitation is an invitation made here.
type Invitation struct {
	ID      string `json:"id"`
	Link    string `json:"link,omitempty"` // godwit:i#..., left out once it is of no more use
	Expires Time   `json:"expires"`
	Kind    string `json:"kind"`             // single or reusable
	State   string `json:"state"`            // open, used, expired or revoked
	Relays  int    `json:"relays"`           // relays that hold its notice
	Notice  string `json:"notice,omitempty"` // what its maker should know, such as that no relay holds it
}

// AcceptRequest accepts an invitation.
type AcceptRequest struct {
	Link    string `json:"link"`
	Name    string `json:"name,omitempty"`    // petname; without it the name that the inviter gave
	Message string `json:"message,omitempty"` // said with the first flight
}

// Accepted is the contact that an invitation made.
type Accepted struct {
	Contact string `json:"contact"` // account id
	Name    string `json:"name"`
	Asked   bool   `json:"asked,omitempty"` // by a reusable address, or an introduction that was asked about: they decide whether to answer
	// SeenBy are relays of the inviter to which no other relay led, so that they were asked
	// straight and saw the address of this computer, though private routing is on.
	SeenBy []string `json:"seen_by,omitempty"`
}

// RequestsRequest asks for the requests that wait.
type RequestsRequest struct{}

// ViaAddress is how a stranger came: by a reusable address.
const ViaAddress = "address"

// Request is a stranger who asks to be a contact.
type Request struct {
	ID         string `json:"id"`                   // account id
	Name       string `json:"name,omitempty"`       // that they claim
	LooksLike  string `json:"looks_like,omitempty"` // a contact who is called so or nearly so, and is somebody else
	Text       string `json:"text,omitempty"`       // what they said first
	Time       Time   `json:"time"`                 // when it came
	Via        string `json:"via"`                  // ViaAddress
	Invitation string `json:"invitation,omitempty"` // the address, as Invites has it
	Expires    Time   `json:"expires"`              // it is forgotten then
}

// DecideRequest names a request.
type DecideRequest struct {
	ID   string `json:"id"`             // account id, or a unique prefix of one
	Name string `json:"name,omitempty"` // to accept: a petname; without it the name they claim if nobody's is like it
}

// Decided is a request about which a decision was made.
type Decided struct {
	ID string `json:"id"`
}

// ContactsRequest asks for all contacts.
type ContactsRequest struct{}

// ContactRequest names a contact.
type ContactRequest struct {
	Contact string `json:"contact"`
}

// RenameRequest gives a contact a petname.
type RenameRequest struct {
	Contact string `json:"contact"`
	Name    string `json:"name"`
}

// Contact is a person.
type Contact struct {
	ID         string `json:"id"` // account id
	Name       string `json:"name"`
	Kind       string `json:"kind"`                 // KindPerson, KindSelf or KindEcho
	Claims     string `json:"claims,omitempty"`     // what they call themselves, if it is not their name here
	LooksLike  string `json:"looks_like,omitempty"` // another contact, for whom that could be taken
	Verified   bool   `json:"verified"`
	Blocked    bool   `json:"blocked,omitempty"`
	Frozen     bool   `json:"frozen,omitempty"`     // its keys contradict each other: nothing is sent
	Introduced string `json:"introduced,omitempty"` // the name of the contact who introduced them
	// Recovered is when another device last took the place of theirs; left out: never.
	Recovered Time `json:"recovered,omitzero"`
}

// VerifyRequest asks for a safety number, and with Confirm marks it compared.
type VerifyRequest struct {
	Contact string `json:"contact"`
	Confirm bool   `json:"confirm,omitempty"`
}

// SafetyNumber is what two people compare.
type SafetyNumber struct {
	Contact  string `json:"contact"` // account id
	Name     string `json:"name"`
	Number   string `json:"number"` // 12 groups of 5 digits, separated by spaces
	Verified bool   `json:"verified"`
}

// SendRequest sends a text.
type SendRequest struct {
	Contact string   `json:"contact"`
	Text    string   `json:"text"`
	ReplyTo string   `json:"reply_to,omitempty"` // id of the message that is answered
	Wait    State    `json:"wait,omitempty"`     // empty: Queued
	Timeout Duration `json:"timeout,omitempty"`  // of the waiting alone; 0: 30s
}

// ReactRequest reacts to a message.
type ReactRequest struct {
	ID      string   `json:"id"`
	Emoji   string   `json:"emoji"`             // empty: taken back
	Wait    State    `json:"wait,omitempty"`    // as in SendRequest, and so in the requests after it
	Timeout Duration `json:"timeout,omitempty"` // likewise
}

// EditRequest edits a message of one's own.
type EditRequest struct {
	ID      string   `json:"id"`
	Text    string   `json:"text"`
	Wait    State    `json:"wait,omitempty"`
	Timeout Duration `json:"timeout,omitempty"`
}

// DeleteRequest deletes a message.
type DeleteRequest struct {
	ID      string   `json:"id"`
	ForBoth bool     `json:"for_both,omitempty"` // ask the other side's device too
	Wait    State    `json:"wait,omitempty"`
	Timeout Duration `json:"timeout,omitempty"`
}

// ForwardRequest forwards a message.
type ForwardRequest struct {
	ID      string   `json:"id"`
	Contact string   `json:"contact"`
	Wait    State    `json:"wait,omitempty"`
	Timeout Duration `json:"timeout,omitempty"`
}

// SetTimerRequest sets the timer of a conversation.
type SetTimerRequest struct {
	Contact string   `json:"contact"`
	After   Duration `json:"after"` // whole seconds, 365 days at most; 0: texts stay
	Wait    State    `json:"wait,omitempty"`
	Timeout Duration `json:"timeout,omitempty"`
}

// IntroduceRequest introduces two contacts to each other.
type IntroduceRequest struct {
	Contact string   `json:"contact"` // who is asked
	To      string   `json:"to"`      // who is told then
	Wait    State    `json:"wait,omitempty"`
	Timeout Duration `json:"timeout,omitempty"`
}

// AcceptIntroductionRequest says yes to an introduction.
type AcceptIntroductionRequest struct {
	ID   string `json:"id"`             // of the message of kind introduction
	Name string `json:"name,omitempty"` // petname, of who was told; without it the name that the other gives
}

// The steps of an introduction.
const (
	StepAsk   = "ask"   // whether the one who is named may write to the reader
	StepAgree = "agree" // that they may
	StepMeet  = "meet"  // how to write to the one who is named
)

// Introduction is what a message of kind introduction says: see AcceptIntroduction.
type Introduction struct {
	Step    string `json:"step"`            // StepAsk, StepAgree or StepMeet
	Account string `json:"account"`         // of who is introduced to the reader
	Name    string `json:"name,omitempty"`  // as who introduces them claims
	Known   bool   `json:"known,omitempty"` // it is a contact by now, or oneself
	// Agreed says, of a question, that the person has said yes and the other is waited for.
	Agreed bool `json:"agreed,omitempty"`
}

// TypingRequest says that the person is writing to a contact.
type TypingRequest struct {
	Contact string `json:"contact"`
	Stopped bool   `json:"stopped,omitempty"` // not any more
}

// Typed is the answer to a TypingRequest; there is nothing to know.
type Typed struct{}

// SettingsRequest asks for the settings.
type SettingsRequest struct{}

// Settings are what the person can choose while the node runs. What is not shared is not
// learned of others either.
type Settings struct {
	ReadReceipts bool `json:"read_receipts"` // contacts learn that their messages were read
	Typing       bool `json:"typing"`        // contacts learn that one is writing to them
}

// SetSettingsRequest changes what is given and leaves the rest.
type SetSettingsRequest struct {
	ReadReceipts *bool `json:"read_receipts,omitempty"`
	Typing       *bool `json:"typing,omitempty"`
}

// Copies counts the relays that gave a valid receipt for a message.
type Copies struct {
	Kept   int `json:"kept"`            // gave one
	Left   int `json:"left,omitempty"`  // gave one that is no promise: by a reusable address it may be displaced
	Extra  int `json:"extra,omitempty"` // copies on computers of the recipient's friends, which are only on now and then: they count for nothing
	Named  int `json:"named"`           // named by the recipient
	Wanted int `json:"wanted"`          // that there should be: 3
}

// Sent is how far a message of one's own has come.
type Sent struct {
	ID           string  `json:"id"`
	Conversation string  `json:"conversation"`    // the contact's account id, Self or Echo
	State        State   `json:"state,omitempty"` // of one's own messages; what is for this computer alone is delivered at once
	Relays       *Copies `json:"relays,omitempty"`
	Expires      Time    `json:"expires,omitzero"` // when it is given up, or when the relays' copies end
	Reason       string  `json:"reason,omitempty"` // why it is not further, in words
}

// MaxMessages is the most that one request reads.
const MaxMessages = 10000

// MessagesRequest reads a page of a conversation: the newest messages, or those at one of
// the three message ids.
type MessagesRequest struct {
	Contact string `json:"contact"`
	Limit   int    `json:"limit,omitempty"`  // 0: 50; MaxMessages at most
	Before  string `json:"before,omitempty"` // those before this one
	After   string `json:"after,omitempty"`  // those after it
	Around  string `json:"around,omitempty"` // half of them before it, then itself and those after it
}

// Message is a line of a conversation.
type Message struct {
	ID           string  `json:"id"`
	Conversation string  `json:"conversation"`   // the contact's account id, Self or Echo
	Author       string  `json:"author"`         // account id, or Echo
	Name         string  `json:"name,omitempty"` // the author's petname; left out for oneself
	Time         Time    `json:"time"`           // when it was written, by the author's clock
	Kind         string  `json:"kind"`           // text; others as later versions know them
	Text         string  `json:"text,omitempty"`
	State        State   `json:"state,omitempty"` // of one's own messages that were sent to somebody
	Relays       *Copies `json:"relays,omitempty"`
	Expires      Time    `json:"expires,omitzero"`
	Reason       string  `json:"reason,omitempty"`
	Starred      bool    `json:"starred,omitempty"`
	Pinned       bool    `json:"pinned,omitempty"`
	Deeds
}

// Deeds are what was done to a message, and what is said of it besides its text.
type Deeds struct {
	Reply        *Quote        `json:"reply,omitempty"`        // what it answers
	Reactions    []Reaction    `json:"reactions,omitempty"`    // the oldest first
	Forwarded    bool          `json:"forwarded,omitempty"`    // somebody else's words
	Edited       Time          `json:"edited,omitzero"`        // by the author's clock; the text is the newest one
	Deleted      bool          `json:"deleted,omitempty"`      // its author deleted it: there is no text any more
	Timer        Duration      `json:"timer,omitempty"`        // it disappears so long after it was read; one's own after it left this device. Of kind timer: what its author set; left out: that texts stay
	Introduction *Introduction `json:"introduction,omitempty"` // of kind introduction
	Disappears   Time          `json:"disappears,omitzero"`    // when; left out while that time does not run
}

// Quote is an answered message as it is here now. If it is not here, or no longer, only its
// id is known.
type Quote struct {
	ID      string `json:"id"`
	Author  string `json:"author,omitempty"` // account id
	Name    string `json:"name,omitempty"`   // left out for oneself
	Kind    string `json:"kind,omitempty"`
	Text    string `json:"text,omitempty"` // its first 300 characters
	Deleted bool   `json:"deleted,omitempty"`
}

// Reaction is what people reacted to a message with.
type Reaction struct {
	Emoji string   `json:"emoji"`
	By    []string `json:"by"` // account ids
	Mine  bool     `json:"mine,omitempty"`
}

// TrailRequest asks what became of a message of one's own.
type TrailRequest struct {
	ID string `json:"id"`
}

// Step is something that is known of the way of a message.
type Step struct {
	Time   Time   `json:"time"`             // when it became known here
	What   What   `json:"what"`             // what happened
	Path   string `json:"path,omitempty"`   // direct; mailbox: at a relay; flight: at a relay, inside a first flight
	Peer   string `json:"peer,omitempty"`   // PeerID of the relay, or of the device
	Via    string `json:"via,omitempty"`    // PeerID of the other relay through which it was left there; none: straight, which shows the relay our address
	Device string `json:"device,omitempty"` // for or by which of their devices
	Until  Time   `json:"until,omitzero"`   // how long the relay promised to keep it
	Proof  Proof  `json:"proof,omitempty"`  // of what was signed or acknowledged
	State  State  `json:"state,omitempty"`  // of the last step: how far it is known to have come
	Reason string `json:"reason,omitempty"` // of a refusal, or why it is not further, in words
}

// What happened to a message.
type What string

// The kinds of steps.
const (
	StepQueued       What = "queued"       // kept on this device
	StepDeposited    What = "deposited"    // a relay promised to keep it
	StepLeft         What = "left"         // a relay took it, and may displace it: by a reusable address
	StepAsked        What = "asked"        // their device has seen it, and its owner decides: by a reusable address
	StepRefused      What = "refused"      // a relay or the device did not take it, or could not be reached
	StepAcknowledged What = "acknowledged" // their device has it, or showed it
	StepState        What = "state"        // last: so it is now
)

// Proof says what came of checking a step's evidence again.
type Proof string

// The outcomes.
const (
	ProofGood  Proof = "good"  // signature or MAC fits
	ProofWrong Proof = "wrong" // it does not: the database was altered
	ProofGone  Proof = "gone"  // the keys to check it with are erased, as they have to be
	ProofInner Proof = "inner" // it came inside the session, which authenticates it
)

// EventsRequest follows what happens from now on.
type EventsRequest struct{}

// The kinds of Event.
const (
	EventReady   = "ready"   // Account, Peer, Addrs; a relay's has Peer, Addrs, HTTP
	EventMessage = "message" // a new message, one's own too, or one that has changed: the fields of Message as it is now, Change
	EventTyping  = "typing"  // somebody is writing: Conversation, Name, Expires; without that not any more
	EventState   = "state"   // the fields of Sent
	EventContact = "contact" // Contact, Name, Verified, Change
	EventRequest = "request" // somebody unknown asks to be a contact: the fields of Request, Change
	EventRelay   = "relay"   // Relay, Addrs, State, Reason
	// EventConversation says that Conversations would now answer something else about
	// Conversation; Change is removed if it would not list it any more.
	EventConversation = "conversation"
	EventNetwork      = "network" // Network, Addrs, Reason
	EventAccount      = "account" // Account, Change (revoked), Reason
)

// Event is something that happened. Which fields are filled follows from Event;
// the others are left out.
type Event struct {
	Event string `json:"event"`
	At    Time   `json:"at"` // when it happened here

	Account string   `json:"account,omitempty"`
	Peer    string   `json:"peer,omitempty"`
	Addrs   []string `json:"addrs,omitempty"`
	HTTP    string   `json:"http,omitempty"`
	Network string   `json:"network,omitempty"`

	ID           string  `json:"id,omitempty"`
	Conversation string  `json:"conversation,omitempty"`
	Author       string  `json:"author,omitempty"`
	Name         string  `json:"name,omitempty"`
	Time         Time    `json:"time,omitzero"`
	Kind         string  `json:"kind,omitempty"`
	Text         string  `json:"text,omitempty"`
	State        string  `json:"state,omitempty"` // a State, or that of a relay
	Relays       *Copies `json:"relays,omitempty"`
	Expires      Time    `json:"expires,omitzero"`
	Deeds

	Via        string `json:"via,omitempty"`
	Invitation string `json:"invitation,omitempty"`
	LooksLike  string `json:"looks_like,omitempty"`

	Contact  string `json:"contact,omitempty"`
	Verified bool   `json:"verified,omitempty"`
	Change   string `json:"change,omitempty"` // of a message one of those below; of a request new, accepted, ignored or blocked; of a contact added, renamed, verified, blocked, unblocked, removed, frozen, recovered, stalled, session lost, online or offline

	Relay  string `json:"relay,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// What changed of a message.
const (
	ChangeNew     = "new"
	ChangeEdited  = "edited"
	ChangeDeleted = "deleted" // its line stays, without a text
	ChangeReacted = "reacted"
	ChangeTimed   = "timed"   // its time to disappear has begun
	ChangeRemoved = "removed" // it is no line of the conversation any more
)

// MessageEvent is a message as an event, with what changed of it.
func MessageEvent(at time.Time, m Message, change string) Event {
	return Event{Change: change, Deeds: m.Deeds, Event: EventMessage, At: Time{at}, ID: m.ID, Conversation: m.Conversation, Author: m.Author, Name: m.Name, Time: m.Time,
		Kind: m.Kind, Text: m.Text, State: string(m.State), Relays: m.Relays, Expires: m.Expires, Reason: m.Reason}
}

// StateEvent is a change of a message's state as an event.
func StateEvent(at time.Time, s Sent) Event {
	return Event{Event: EventState, At: Time{at}, ID: s.ID, Conversation: s.Conversation, State: string(s.State), Relays: s.Relays,
		Expires: s.Expires, Reason: s.Reason}
}

// RequestEvent is a request as an event, with what became of it.
func RequestEvent(at time.Time, q Request, change string) Event {
	return Event{Event: EventRequest, At: Time{at}, ID: q.ID, Name: q.Name, LooksLike: q.LooksLike, Text: q.Text, Time: q.Time, Via: q.Via,
		Invitation: q.Invitation, Expires: q.Expires, Change: change}
}

// Sent is what StateEvent was made of.
func (e Event) Sent() Sent {
	return Sent{ID: e.ID, Conversation: e.Conversation, State: State(e.State), Relays: e.Relays, Expires: e.Expires, Reason: e.Reason}
}

// AddRelayRequest adds a relay.
type AddRelayRequest struct {
	Addr  string `json:"addr"`            // multiaddr with the relay's PeerID
	Token string `json:"token,omitempty"` // what its operator gave out, if it asks for one
}

// RelayRequest names a relay.
type RelayRequest struct {
	Relay string `json:"relay"` // PeerID, a unique prefix of it, or an address with it
}

// The states of the relay for contacts.
const (
	FriendsOff      = "off"
	FriendsWaiting  = "waiting"  // it is to run, or to be emptied, while the account does
	FriendsOn       = "on"       // it takes and gives mail
	FriendsFull     = "full"     // it gives mail but takes none: the cap, or the disk, is reached
	FriendsSpent    = "spent"    // the same, as far as it may: as much came today as may in a day
	FriendsDraining = "draining" // it was switched off, and gives out what it keeps
	FriendsFailed   = "failed"   // it could not be started, or broke; it is tried again
)

// FriendsRelayRequest asks for FriendsRelay.
type FriendsRelayRequest struct{}

// SetFriendsRelayRequest changes what is set; what is nil stays.
type SetFriendsRelayRequest struct {
	On      *bool  `json:"on,omitempty"`
	Contact string `json:"contact,omitempty"`  // On is about this one alone, and nothing else is set
	MaxDisk *int64 `json:"max_disk,omitempty"` // bytes, 64 MiB to 1 TiB
	Share   *int64 `json:"share,omitempty"`    // bytes for each contact's device, 1 MiB to MaxDisk
	Days    *int   `json:"days,omitempty"`     // for which mail is kept, 1 to 30
	Daily   *int64 `json:"daily,omitempty"`    // bytes of mail that may come and go in a day, 16 MiB to 1 TiB
	Now     bool   `json:"now,omitempty"`      // with On false: what it keeps is not waited for
}

// FriendsRelay is the relay on this computer that keeps mail for contacts, and what that costs.
// What it counts is there while it runs.
type FriendsRelay struct {
	State   string        `json:"state"`
	Reason  string        `json:"reason,omitempty"` // why it is full, failed, or on and of no use to anybody
	On      bool          `json:"on"`               // what was asked for
	Own     bool          `json:"own,omitempty"`    // the account keeps its own mail there too, as it had no relay
	Relay   string        `json:"relay,omitempty"`  // its PeerID
	Addrs   []string      `json:"addrs,omitempty"`  // where it is reached straight
	Hops    int           `json:"hops,omitempty"`   // relays through which it is reached
	MaxDisk int64         `json:"max_disk"`         // bytes
	Share   int64         `json:"share"`            // bytes, for each contact's device
	Days    int           `json:"days"`             // for which mail is kept
	Daily   int64         `json:"daily"`            // bytes of mail that may come and go in a day, half of them to come; they come back evenly over the day
	Today   int64         `json:"today,omitempty"`  // bytes of Daily that are used now
	Disk    int64         `json:"disk,omitempty"`   // bytes used of MaxDisk
	Cells   int64         `json:"cells,omitempty"`  // held
	Bytes   int64         `json:"bytes,omitempty"`  // of cells held
	Friends int           `json:"friends"`          // contacts' devices that may use it
	Using   int           `json:"using"`            // that do
	But     []Excepted    `json:"but,omitempty"`    // contacts for whom nothing is kept, by their names
	Month   *FriendsMonth `json:"month,omitempty"`
	Until   Time          `json:"until,omitzero"` // draining: when it ends, whatever is left
}

// Excepted is a contact for whom nothing is done.
type Excepted struct {
	Contact string `json:"contact"` // account id
	Name    string `json:"name"`
}

// FriendsMonth is the mail that the relay carried since the first of the month.
type FriendsMonth struct {
	Since Time  `json:"since"`
	Taken int64 `json:"taken"` // bytes that came
	Given int64 `json:"given"` // bytes that went
}

// TestNetworkRequest asks for a test of the network.
type TestNetworkRequest struct{}

// NetworkTest is what was seen when the network was tried.
type NetworkTest struct {
	Relays []RelayTest `json:"relays"`
	DHT    *DHTTest    `json:"dht,omitempty"` // nil: the account takes no part in it now
}

// RelayTest is how a relay did, for a connection of its own by a PeerID that is thrown away.
type RelayTest struct {
	Relay   string `json:"relay"`                // PeerID
	Connect int64  `json:"connect_ms,omitempty"` // until the relay had said what it is
	Answer  int64  `json:"answer_ms,omitempty"`  // of a question over that connection; 0: less than one, or none came
	Reason  string `json:"reason,omitempty"`     // why it does not work, in words; empty: it does
}

// DHTTest is how looking something up in the DHT went.
type DHTTest struct {
	Answered int    `json:"answered"`          // servers
	Took     int64  `json:"took_ms,omitempty"` // until all were asked
	Reason   string `json:"reason,omitempty"`  // why nobody answered, in words
}

// RelaysRequest asks for all relays.
type RelaysRequest struct{}

// Relay is a relay that the account keeps its box at, or kept it at.
type Relay struct {
	Relay   string   `json:"relay"` // PeerID
	Addrs   []string `json:"addrs"`
	State   string   `json:"state"`             // connected, connecting, unreachable, refused, unknown or draining
	Reason  string   `json:"reason,omitempty"`  // why it is not connected
	Failing string   `json:"failing,omitempty"` // why it should be replaced, with a code
	Source  string   `json:"source,omitempty"`  // how it was found: hand, flag, invitation, dht or friend
	Friend  string   `json:"friend,omitempty"`  // the contact on whose computer it is: account id. It counts for nothing
	Name    string   `json:"name,omitempty"`    // of that contact
	Since   Time     `json:"since,omitzero"`    // when it was first used
	Until   Time     `json:"until,omitzero"`    // draining: when it is given up for good, unless somebody knows no other
	Unaware int      `json:"unaware,omitempty"` // draining: devices of contacts that may still leave something there
}

// PhraseRequest asks for the recovery words.
type PhraseRequest struct {
	Written bool `json:"written,omitempty"` // they are written down: forget them here
}

// Phrase is the account's recovery words.
type Phrase struct {
	Words     []string `json:"words,omitempty"` // 24
	Forgotten bool     `json:"forgotten,omitempty"`
}

// LockRequest sets a passphrase.
type LockRequest struct {
	Passphrase string `json:"passphrase"`
	Present    string `json:"present,omitempty"` // that the profile has, if it has one
}

// UnlockRequest takes the passphrase off.
type UnlockRequest struct {
	Passphrase string `json:"passphrase"`
}
