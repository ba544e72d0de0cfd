// Package notify shows notifications of the desktop: by D-Bus on Linux and the BSDs
// (Desktop Notifications Specification 1.3), by toasts through COM on Windows, by
// UNUserNotificationCenter on macOS. What is shown was written by other people, so it
// is data all the way: no shell, no script and no markup is made from it.
// (Fyne's SendNotification puts it into a PowerShell script on Windows.)
//
// Desk decides whether something is shown, and what. The window calls it from one
// goroutine and hands what it says to a Notifier.
package notify

import (
	"context"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrUnavailable says that there is nothing here to show notifications by. It may be
// there later: a desktop's server may start after us.
var ErrUnavailable = errors.New("notify: notifications cannot be shown here")

// Note is one notification.
type Note struct {
	// Key is what it is about: a later note of the same key takes its place, so that
	// there is never more than one.
	Key string
	// Target is what a click opens, as Click gives it back: a link, see package single.
	Target string
	Title  string // plain text
	Body   string // plain text; may be empty
}

// Click is what a person did: open what a note is about.
type Click struct {
	Target string
	// Token lets the window come to the front where the desktop asks for that
	// (xdg-activation, startup notification); empty: none was given.
	Token string
}

// Notifier shows notes. Its methods may be called from any goroutine.
type Notifier interface {
	// Show shows a note, in place of an earlier one of its key. Its error is
	// ErrUnavailable, or of the desktop; a note that could not be shown is lost.
	Show(context.Context, Note) error
	// Withdraw removes the note of a key, if there is one.
	Withdraw(ctx context.Context, key string) error
	// Clicks tells what was clicked, until Close. On Windows nothing comes: the system
	// starts the program with the target, as it does with any godwit: link.
	Clicks() <-chan Click
	// Close ends the work. Notes that are shown stay.
	Close() error
}

// Options are what New needs.
type Options struct {
	// ID names the program to the desktop: the name of its desktop file without
	// .desktop, its AppUserModelID, its bundle identifier.
	ID string
	// Name is what people call the program.
	Name string
	// Icon is the file of its icon for desktops that do not find it by the ID; may be empty.
	Icon string
}

// The longest texts that are shown, in bytes. Desktops cut off far earlier.
const (
	maxTitle = 200
	maxBody  = 1000
)

// pending is how many clicks wait to be taken; older ones make room.
const pending = 8

// plain makes a text one line that shows and does nothing else: no controls, no line
// ends, no characters that reorder or hide what is beside them, valid UTF-8 of at most
// limit bytes. D-Bus ends the connection over text that is not UTF-8.
func plain(text string, limit int) string {
	// Far more than is shown never gets looked at.
	if len(text) > 8*limit {
		text = text[:8*limit]
	}
	var b strings.Builder
	space := false
	for _, r := range text {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			space = b.Len() > 0
			continue
		case r == utf8.RuneError, hidden(r):
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		if b.Len()+utf8.RuneLen(r) > limit-len("…") {
			b.WriteString("…")
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// hidden says whether a character shows nothing and may deceive: directional controls
// (Unicode 15, UAX #9), and what is invisible outside of clusters. The joiners stay,
// emoji and scripts need them.
func hidden(r rune) bool {
	switch {
	case r == '\u200c', r == '\u200d':
		return false
	case r >= 0xe0020 && r <= 0xe007f: // tags: parts of flags
		return false
	}
	return unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Co, r) || unicode.Is(unicode.Noncharacter_Code_Point, r)
}

// clicks is a queue that drops the oldest: the last click is the one that counts.
type clicks chan Click

func (c clicks) put(v Click) {
	for {
		select {
		case c <- v:
			return
		default:
		}
		select {
		case <-c:
		default:
		}
	}
}
