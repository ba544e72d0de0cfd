// Package witness judges what people saw of Godwit while it went through faults. It
// believes a transcript and nothing else: what each person did, and what their
// program showed them, each with the time by the clock of who wrote it down. It
// imports nothing of ours, so that it shares no mistake with what it judges.
//
// A transcript is one Line of JSON a line, in the order of time:
//
//	person   Who's account is ID
//	relay    the relay ID takes part; Honest says whether it always tells the truth
//	say      Who begins to say Text to To, as its Nth
//	said     that ended: JSON is the answer, or Err is why there is none
//	saw      JSON is an event that Who's program showed, in its Run
//	killed   Who's program of Run was killed; all that it had shown is above
//	disk     JSON is the conversation with To on the dead Who's disk
//	read     JSON is the conversation with To as Who read it from Begun on
//	trail    JSON is what Who's program tells of the way of Who's message ID
//	wiped    the relay ID lost its disk
//	absent   Who is away from now on, until Who's next read
//
// A read may say that it was in a Calm, when nothing waited for anything any more, or
// that it was made when the others had been Without somebody for as long as it takes
// to collect what relays keep.
package witness

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// Line is one thing that happened.
type Line struct {
	T       float64         `json:"t"` // seconds since the beginning
	What    string          `json:"what"`
	Who     string          `json:"who,omitempty"`
	To      string          `json:"to,omitempty"`
	N       int             `json:"n,omitempty"`
	Run     int             `json:"run,omitempty"`
	Text    string          `json:"text,omitempty"`
	ID      string          `json:"id,omitempty"`
	Honest  bool            `json:"honest,omitempty"`
	Begun   float64         `json:"begun,omitempty"`
	Calm    bool            `json:"calm,omitempty"`
	Without string          `json:"without,omitempty"`
	Err     string          `json:"err,omitempty"`
	JSON    json.RawMessage `json:"json,omitempty"`
}

// Read reads a transcript.
func Read(r io.Reader) (lines []Line, err error) {
	in := bufio.NewScanner(r)
	in.Buffer(nil, 64<<20) // a conversation of 10,000 messages is a line
	for in.Scan() {
		if len(bytes.TrimSpace(in.Bytes())) == 0 {
			continue
		}
		var l Line
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("line %d: %w", len(lines)+1, err)
		}
		lines = append(lines, l)
	}
	return lines, in.Err()
}

// message is a line of a conversation, as messages prints it, or what an event or the
// answer to send tells of one.
type message struct {
	Event        string  `json:"event"`
	ID           string  `json:"id"`
	Conversation string  `json:"conversation"`
	Author       string  `json:"author"`
	Text         string  `json:"text"`
	State        string  `json:"state"`
	Relays       *copies `json:"relays"`
	Reason       string  `json:"reason"`
}

type copies struct{ Kept, Named, Wanted int }

// step is one of a message's trail.
type step struct {
	What  string `json:"what"`
	Peer  string `json:"peer"`
	Proof string `json:"proof"`
	State string `json:"state"`
}

// rank orders the states; failed stands beside them.
func rank(state string) int {
	for i, s := range []string{"queued", "kept", "delivered", "read"} {
		if s == state {
			return i
		}
	}
	return -1
}
