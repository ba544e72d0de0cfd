package notify

// Level is how much a notification tells whoever looks at the screen.
type Level string

// The levels.
const (
	Off  Level = "off"  // nothing is shown
	Hint Level = "none" // that there is a message, not from whom
	Name Level = "name" // who wrote
	Text Level = "text" // who wrote, and what
)

// Levels are all levels, least first.
func Levels() []Level { return []Level{Off, Hint, Name, Text} }

// Words are what notes say besides what people wrote, in the person's language.
type Words struct {
	App      string             // the program's name, the title where a name is not shown
	Messages func(n int) string // "New message", "3 new messages"
	Request  string             // a stranger asks to be a contact
	Strange  string             // a stranger without a name
}

// Message is a message, or a request, that has just arrived.
type Message struct {
	Chat    string // conversation
	Target  string // what a click opens
	Name    string // the sender, as they are called here
	Text    string
	Own     bool // written by this account, on another device
	Muted   bool
	Request bool // by a stranger who is not a contact yet
}

// Desk decides what is shown: nothing of chats that are muted or in front of the person,
// one note a chat that is replaced and not stacked, and only as much as the level says.
// Its zero value knows no Words and no Level and shows nothing. It is for one goroutine.
type Desk struct {
	Level Level
	Words Words

	front string
	count map[string]int // arrived since the person was last there, by key
}

// anybody is the one key of all chats where names are not shown: several notes would
// tell how many people wrote.
const anybody = "anybody"

// asking is the one key of all requests: strangers cannot fill the screen.
const asking = "requests"

// Arrived says whether a note is due for a message, and which.
func (d *Desk) Arrived(m Message) (Note, bool) {
	if d.Level == "" || d.Level == Off || d.Words.Messages == nil || m.Own || m.Muted || m.Chat != "" && m.Chat == d.front {
		return Note{}, false
	}
	key := "chat " + m.Chat
	switch {
	case m.Request:
		key = asking
	case d.Level == Hint:
		key = anybody
	}
	if d.count == nil {
		d.count = map[string]int{}
	}
	d.count[key]++
	n := Note{Key: key, Target: m.Target, Title: m.Name, Body: d.Words.Messages(d.count[key])}
	if d.Level == Hint || n.Title == "" {
		n.Title = d.Words.App
	}
	switch {
	case m.Request:
		// What a stranger says is not shown on a screen that others may see.
		n.Body = d.Words.Request
		if m.Name == "" && d.Level != Hint {
			n.Title = d.Words.Strange
		}
	case d.Level == Text && m.Text != "":
		n.Body = m.Text
	}
	return n, true
}

// Front says which chat the person has before them, in a window that has the focus;
// empty: none. It returns the keys of notes that are of no more use.
func (d *Desk) Front(chat string) (withdraw []string) {
	d.front = chat
	if chat == "" {
		return nil
	}
	for _, key := range []string{"chat " + chat, anybody} {
		if d.count[key] > 0 {
			withdraw = append(withdraw, key)
			delete(d.count, key)
		}
	}
	return withdraw
}

// Asked says that the person looks at the requests.
func (d *Desk) Asked() (withdraw []string) {
	if d.count[asking] == 0 {
		return nil
	}
	delete(d.count, asking)
	return []string{asking}
}

// Gone says that the messages of a chat were read elsewhere, or are no more.
func (d *Desk) Gone(chat string) (withdraw []string) {
	key := "chat " + chat
	if d.count[key] == 0 {
		return nil
	}
	delete(d.count, key)
	return []string{key}
}
