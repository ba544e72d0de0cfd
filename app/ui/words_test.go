package ui

import (
	"path/filepath"
	"testing"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/ui/shell"
)

// The recovery words are offered when the first answer has been read, and not before: then
// they wait, and are no more offered once they are on paper.
func TestTheWordsAreOfferedAfterTheFirstConversation(t *testing.T) {
	h, kept := harbour(), filepath.Join(t.TempDir(), "window.json")
	h.messages["anna"] = h.messages["anna"][1:] // she has written, and got no answer
	h.messages["ben"] = []api.Message{{ID: "b1", Author: "me", Text: "Are you there?", Kind: "text", Time: at(8), State: api.Delivered}}
	remember := func(o *Options) { o.Look = kept }
	s := look(t, h, wide, remember)
	s.until("the list", func() bool { return s.says("Anna") && s.inner.status != nil })
	s.inner.open("anna")
	s.until("it was read", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.read) == 1
	})
	s.inner.open("ben")
	s.until("the message", func() bool { return s.shows("b1") })
	if s.says("Write down your 24 words") {
		t.Error("they are offered although nobody has talked")
	}
	h.say(api.Message{ID: "b2", Conversation: "ben", Author: "ben", Text: "I am!", Kind: "text", Time: at(10)})
	s.until("the offer", func() bool { return s.says("Write down your 24 words") })
	s.press("Later")
	if s.says("Write down your 24 words") {
		t.Error("it stays")
	}

	// Another day, in another window.
	s = look(t, h, narrow, remember)
	s.until("the list", func() bool { return s.says("Anna") && s.inner.status != nil })
	if s.says("Write down your 24 words") {
		t.Error("it is back at once")
	}
	s.later += wordsAgain
	s.inner.refreshStatus()
	s.until("the offer again", func() bool { return s.says("Write down your 24 words") })
	s.press("Show the words")
	s.until("the question", func() bool { return s.says("Is nobody looking?") })
	s.press("Show the words")
	s.until("the words", func() bool { return s.says("abandon") })
	s.press("I have written them down")
	if s.says("Write down your 24 words") || shell.LoadLook(kept).Words != shell.WordsWritten {
		t.Errorf("kept is %+v; it says %q", shell.LoadLook(kept), s.words())
	}
}

// Who has erased the words from this computer, by the command line perhaps, is not offered
// what is not there.
func TestWordsThatAreGoneAreNotOffered(t *testing.T) {
	h := harbour()
	h.forgot = true
	s := look(t, h, wide)
	s.until("the list", func() bool { return s.says("Anna") && s.inner.status != nil })
	s.inner.open("anna")
	s.until("it was read", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.read) > 0
	})
	s.inner.wordsAre(shell.WordsOffered)
	if s.says("Write down your 24 words") || len(shell.Find(s.l, s.inner.table, "recovery")) != 0 {
		t.Errorf("%q", s.words())
	}
}

// A relay's operator gave an address, and perhaps a token; both are pasted as they came.
func TestARelayIsAddedWithItsToken(t *testing.T) {
	for text, want := range map[string]api.AddRelayRequest{
		" /ip4/127.0.0.1/tcp/1/p2p/12D3 \n": {Addr: "/ip4/127.0.0.1/tcp/1/p2p/12D3"},
		"/ip4/127.0.0.1/tcp/1/p2p/12D3\n T": {Addr: "/ip4/127.0.0.1/tcp/1/p2p/12D3", Token: "T"},
		"":                                  {},
	} {
		if got := relayAsked(text); got != want {
			t.Errorf("%q is %+v", text, got)
		}
	}
}
