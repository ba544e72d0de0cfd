package api

// Conversations that live on this computer alone. Their ids stand where a contact is
// named, too; nobody else can be called so.
const (
	Self = "self" // notes to oneself: kept, sent to nobody
	Echo = "echo" // answers what it is told; see AddEcho
)

// The kinds of conversations.
const (
	KindPerson = "person"
	KindSelf   = Self
	KindEcho   = Echo
)

// ConversationsRequest asks for conversations.
type ConversationsRequest struct {
	// Only are those that are asked for, as CONTACT or by their ids; empty: all.
	Only []string `json:"only,omitempty"`
}

// Conversation is a line of the list of conversations, and what is done with one.
type Conversation struct {
	ID   string `json:"id"`   // the contact's account id, Self or Echo
	Kind string `json:"kind"` // KindPerson, KindSelf or KindEcho
	Name string `json:"name"`

	Verified  bool   `json:"verified,omitempty"`
	Blocked   bool   `json:"blocked,omitempty"`
	Frozen    bool   `json:"frozen,omitempty"`
	LooksLike string `json:"looks_like,omitempty"` // another contact, for whom that could be taken
	Connected bool   `json:"connected,omitempty"`  // a device of theirs is connected directly

	Introduced string `json:"introduced,omitempty"` // the name of the contact who introduced them

	Pinned     bool   `json:"pinned,omitempty"`
	Archived   bool   `json:"archived,omitempty"`
	MutedUntil Time   `json:"muted_until,omitzero"` // left out: not muted
	Draft      string `json:"draft,omitempty"`

	Timer Duration `json:"timer,omitempty"` // new texts disappear so long after they were read; left out: they stay

	Unread      int      `json:"unread"`
	FirstUnread string   `json:"first_unread,omitempty"` // message id
	Last        *Message `json:"last,omitempty"`         // the newest; its text is cut after LastText characters
	Active      Time     `json:"active"`                 // when something was last said, or the contact was added
}

// LastText is how many characters of its newest message come with a conversation.
const LastText = 200

// SetConversationRequest changes what is given and leaves the rest.
type SetConversationRequest struct {
	Conversation string  `json:"conversation"`
	Pinned       *bool   `json:"pinned,omitempty"`
	Archived     *bool   `json:"archived,omitempty"`    // until something new is said, unless it is muted then
	MutedUntil   *Time   `json:"muted_until,omitempty"` // a time that is over ends it; for ever is Always
	Draft        *string `json:"draft,omitempty"`       // not longer than a message can be
}

// Always is when what is muted for ever sounds again.
const Always = "9999-12-31T00:00:00.000Z"

// MarkReadRequest says that a conversation was read.
type MarkReadRequest struct {
	Conversation string `json:"conversation"`
	UpTo         string `json:"up_to,omitempty"` // the id of the newest message that was seen; empty: all
}

// StarRequest marks a message of one's choice, or takes the mark off.
type StarRequest struct {
	ID      string `json:"id"`
	Starred bool   `json:"starred"`
}

// PinMessageRequest has a message stand above its conversation, on this device only, or
// takes it away from there.
type PinMessageRequest struct {
	ID     string `json:"id"`
	Pinned bool   `json:"pinned"`
}

// The marks that messages can have.
const (
	MarkStarred = "starred"
	MarkPinned  = "pinned"
)

// MarkedRequest reads the messages that have a mark.
type MarkedRequest struct {
	Mark         string `json:"mark"`                   // MarkStarred or MarkPinned
	Conversation string `json:"conversation,omitempty"` // empty, for starred ones only: of all
	Limit        int    `json:"limit,omitempty"`        // 0: 50; MaxMessages at most
	Before       string `json:"before,omitempty"`       // a message id; empty: the end
}

// AddEchoRequest adds Echo.
type AddEchoRequest struct {
	Greeting string `json:"greeting,omitempty"` // what it says first; empty: who it is, in English
}

// SearchRequest looks for people and messages.
type SearchRequest struct {
	// Text is what was typed: words that must all be there, the last of which may be the
	// beginning of one; "in quotation marks" as one. Nothing in it is an error.
	Text         string `json:"text"`
	Conversation string `json:"conversation,omitempty"` // empty: all, and people
	Limit        int    `json:"limit,omitempty"`        // of messages; 0: 20; MaxFound at most
	Before       string `json:"before,omitempty"`       // a message id: messages before it, for the next page
}

// MaxFound is the most messages that one search finds.
const MaxFound = 200

// Found is what was found.
type Found struct {
	People   []Conversation `json:"people"`   // in the order of Conversations; 20 at most, and none with Before
	Messages []FoundMessage `json:"messages"` // newest first
	More     bool           `json:"more"`     // there are more messages
	// Unindexed is how many messages, at most, could not be looked through yet: the oldest are
	// prepared for it after an update, the newest were not if the disk is full.
	Unindexed int64 `json:"unindexed,omitempty"`
	// DiskFull says that these have to wait until there is room on the disk.
	DiskFull bool `json:"disk_full,omitempty"`
}

// FoundMessage is a message that was found.
type FoundMessage struct {
	Message Message `json:"message"` // without its text
	Snippet string  `json:"snippet"` // the part of its text that shows why, on one line
	Matches []Match `json:"matches"` // what was looked for in the snippet
}

// Match is a part of a text, in bytes of UTF-8.
type Match struct {
	From int `json:"from"`
	To   int `json:"to"` // the first that is not in it
}
