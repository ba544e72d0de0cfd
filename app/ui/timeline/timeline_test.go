package timeline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"
	"go.uber.org/goleak"

	"github.com/godwit-im/godwit/app/search"
	"github.com/godwit-im/godwit/app/ui/emoji"
	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/text"
	"github.com/godwit-im/godwit/app/ui/theme"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// history is a Source of many messages, made as they are asked for.
type history struct {
	n    int
	text func(i int) string
	fail error
	slow time.Duration
}

func (h *history) id(i int) string { return "a" + strconv.Itoa(i) }

func (h *history) message(i int) Message {
	m := Message{ID: h.id(i), Author: "Anna", AuthorID: "anna", Time: now.Add(-time.Duration(h.n-i) * time.Minute), Text: h.text(i)}
	if i%3 == 0 {
		m.Mine, m.AuthorID, m.State = true, "", Delivered
	}
	return m
}

func (h *history) Page(_ context.Context, r Request) (Page, error) {
	time.Sleep(h.slow) // in the time of the test
	if h.fail != nil {
		return Page{}, h.fail
	}
	num := func(id string) int {
		i, err := strconv.Atoi(strings.TrimPrefix(id, "a"))
		if err != nil {
			panic(err)
		}
		return i
	}
	from, to := h.n-r.Limit, h.n
	switch {
	case r.Oldest:
		from, to = 0, r.Limit
	case r.Before != "":
		to = num(r.Before)
		from = to - r.Limit
	case r.After != "":
		from = num(r.After) + 1
		to = from + r.Limit
	case r.Around != "":
		from = num(r.Around) - r.Limit/2
		to = from + r.Limit
	}
	from, to = max(0, from), min(h.n, to)
	p := Page{Older: from > 0, Newer: to < h.n}
	for i := from; i < to; i++ {
		p.Messages = append(p.Messages, h.message(i))
	}
	return p, nil
}

// uneven is a text of one to seven lines.
func uneven(i int) string {
	return fmt.Sprintf("Message %d. %s", i, strings.Repeat("Some more words to fill lines. ", i*7%15))
}

// person sits before a Timeline. The goroutine of the test is that of the interface.
type person struct {
	*testing.T
	*Timeline
	source *history
	queue  chan func()
	window fyne.Window
	seen   []string
	errs   []error
	links  []string
	picks  []int
	states []string
	reacts []string
}

// sit opens a conversation of n messages.
func sit(t *testing.T, n int, c Conversation) *person {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(theme.New(theme.Light))
	p := &person{T: t, queue: make(chan func(), 100), source: &history{n: n, text: uneven}}
	p.Timeline = New(Config{
		Fonts: text.NewFonts(theme.New(theme.Light), emoji.Load(), false), Lang: lang.New("en"),
		Do: func(f func()) { p.queue <- f }, Now: func() time.Time { return now },
		OnSeen: func(m Message) { p.seen = append(p.seen, m.ID) }, OnError: func(err error) { p.errs = append(p.errs, err) },
		OnLink: func(s string) { p.links = append(p.links, s) }, OnPick: func(n int) { p.picks = append(p.picks, n) },
		OnState:    func(m Message) { p.states = append(p.states, m.ID) },
		OnReaction: func(m Message, e string) { p.reacts = append(p.reacts, m.ID+e) },
	})
	p.window = test.NewWindow(p.Timeline)
	p.window.SetPadded(false)
	p.window.Resize(fyne.NewSize(700, 600))
	t.Cleanup(func() { p.window.Close(); p.Close() })
	c.Source = p.source
	p.Open(c)
	p.settle()
	return p
}

// settle lets everything that is being loaded arrive.
func (p *person) settle() {
	synctest.Wait()
	for {
		select {
		case f := <-p.queue:
			f()
			synctest.Wait()
		default:
			return
		}
	}
}

// top is where a message is shown; NaN if it is not.
func (p *person) top(id string) float32 {
	for _, it := range p.placed {
		if it.key == id {
			return it.Position().Y
		}
	}
	return float32(math.NaN())
}

// sees fails unless the message is where it was.
func (p *person) stays(what, id string, y float32) {
	p.Helper()
	if got := p.top(id); !(math.Abs(float64(got-y)) < 0.6) {
		p.Errorf("%s: %s moved from %v to %v", what, id, y, got)
	}
	p.tidy(what)
}

// tidy fails if rows overlap, have gaps between them, or leave the window empty.
func (p *person) tidy(what string) {
	p.Helper()
	bottom := float32(0)
	for i, it := range p.placed {
		y := it.Position().Y - it.row.Gap
		if i > 0 && math.Abs(float64(y-bottom)) > 0.01 {
			p.Fatalf("%s: row %d begins at %v, the one above ends at %v", what, i, y, bottom)
		}
		bottom = it.Position().Y + it.Size().Height
	}
	if len(p.placed) > 60 {
		p.Errorf("%s: %d rows are kept", what, len(p.placed))
	}
	if h := p.Size().Height; bottom < h-footer-1 {
		p.Errorf("%s: the window is empty from %v to %v", what, bottom, h)
	}
}

func (p *person) atEnd(what string) {
	p.Helper()
	last := p.placed[len(p.placed)-1]
	if got := last.Position().Y + last.Size().Height + footer; math.Abs(float64(got-p.Size().Height)) > 0.6 || last.key != p.rows[len(p.rows)-1].Key {
		p.Errorf("%s: the last row ends at %v of %v", what, got, p.Size().Height)
	}
	p.tidy(what)
}

// middle is a message in the middle of the window, and where.
func (p *person) middle() (string, float32) {
	for _, it := range p.placed {
		if it.row.Kind == RowBubble && it.Position().Y > p.Size().Height/3 {
			return it.key, it.Position().Y
		}
	}
	p.Fatal("nothing is shown")
	return "", 0
}

// Who opens a chat has its newest page in the first frame, unless the disk is slow: then
// the window does not wait for it.
func TestAPageThatComesAtOnceIsShownAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sit(t, 100, Conversation{})
		p.Open(Conversation{Source: p.source})
		if p.top("a99") != p.top("a99") || len(p.queue) != 0 { // NaN: not shown
			t.Error("the page is not there when the chat is open")
		}
		p.settle()

		p.source.slow = time.Second
		began := time.Now()
		p.Open(Conversation{Source: p.source})
		if waited := time.Since(began); waited > blink || p.top("a99") == p.top("a99") {
			t.Errorf("the window stood still for %v", waited)
		}
		time.Sleep(time.Second)
		p.settle()
		p.atEnd("when it came")

		p.Open(Conversation{Source: p.source}) // and nobody waits for its page
		p.Close()
	})
}

func TestReadingAHundredThousandMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sit(t, 100_000, Conversation{})
		p.atEnd("at first")
		for i := range 160 { // back, with pages arriving in between
			id, y := p.middle()
			p.ScrollBy(-200)
			p.stays("scrolled back", id, y+200)
			p.ScrollBy(-250)
			if i%3 == 0 {
				id, y = p.middle()
				p.settle()
				p.stays("older messages came", id, y)
			}
		}
		p.settle()
		if len(p.messages) > keep+pageSize || !p.newer {
			t.Errorf("%d messages are kept", len(p.messages))
		}
		if len(p.items)+len(p.pool) > 80 {
			t.Errorf("%d rows were made", len(p.items)+len(p.pool))
		}
		for range 100 {
			id, y := p.middle()
			p.ScrollBy(300)
			if p.top(id) > y { // it never runs the wrong way
				t.Fatal("scrolled the wrong way")
			}
			p.settle()
			p.tidy("scrolled on")
		}
		p.ToEnd()
		p.settle()
		p.atEnd("at the end again")
		p.ScrollBy(5000)
		p.settle()
		p.atEnd("beyond the end")
		p.ToStart()
		p.settle()
		if y := p.top("a0"); y < 0 || y > 120 {
			t.Errorf("the first message is at %v", y)
		}
		p.ScrollBy(-5000)
		p.settle()
		p.tidy("beyond the start")
		if y := p.placed[0].Position().Y; y > header+gapMark+1 || y < 0 {
			t.Errorf("the first day is at %v", y)
		}
	})
}

func TestWhatOneReadsStaysWhereItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sit(t, 2000, Conversation{})
		p.ScrollBy(-3000)
		p.settle()
		id, y := p.middle()
		p.Add(Message{ID: "new", Author: "Anna", AuthorID: "anna", Time: now, Text: "New!"})
		p.stays("a new message", id, y)
		if !p.pill.Visible() || p.pill.text.String() != "1 new" {
			t.Errorf("the pill says %q", p.pill.text.String())
		}
		// Messages above grow and go.
		first := p.placed[1]
		m := *first.row.Message
		m.Text = strings.Repeat("It became much longer. ", 40)
		for p.top(m.ID) > -1 { // until it is above the window
			p.ScrollBy(40)
		}
		id, y = p.middle()
		p.Add(m)
		p.stays("one above grew", id, y)
		p.Remove(m.ID)
		p.stays("one above went", id, y)
		for _, w := range []float32{500, 900, 420, 700} {
			at := p.at
			p.window.Resize(fyne.NewSize(w, 600))
			p.stays("another width", at.id, at.y)
		}
		p.ToEnd()
		p.settle()
		p.atEnd("at the end")
		if p.pill.Visible() {
			t.Error("at the end there is nothing to go to")
		}
		p.window.Resize(fyne.NewSize(450, 500))
		p.atEnd("smaller")
		p.window.Resize(fyne.NewSize(800, 700))
		p.atEnd("larger")
	})
}

func TestOnlyWhoIsNearTheEndFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sit(t, 300, Conversation{})
		n := 0
		hear := func() string {
			n++
			id := fmt.Sprintf("x%d", n)
			p.Add(Message{ID: id, Author: "Anna", AuthorID: "anna", Time: now.Add(time.Duration(n) * time.Second), Text: "hi"})
			return id
		}
		hear()
		p.atEnd("one more")
		p.ScrollBy(-39)
		id, y := p.middle()
		p.Add(p.messages[len(p.messages)-1]) // delivered, say: nothing new
		p.stays("a change", id, y)
		hear()
		p.atEnd("39 px above")
		p.ScrollBy(-45)
		id, y = p.middle()
		for range 12 {
			hear()
		}
		p.stays("45 px above", id, y)
		if got := p.pill.text.String(); got != "12 new" {
			t.Errorf("the pill says %q", got)
		}
		p.pill.Tapped(nil)
		p.settle()
		p.atEnd("by the pill")
		p.ScrollBy(-500)
		p.Add(Message{ID: "mine", Mine: true, Time: now.Add(time.Hour), Text: "mine", State: Waiting})
		p.settle()
		p.atEnd("what I write is seen")
	})
}

func TestUnreadLineAndWhatWasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sit(t, 1000, Conversation{FirstUnread: "a800", Unread: 200})
		if y := p.top("a800"); !(y > 60 && y < 300) {
			t.Errorf("the first unread message is at %v", y)
		}
		if y := p.top("unread"); !(y > 0 && y < 300) {
			t.Errorf("the line is at %v", y)
		}
		last := p.seen[len(p.seen)-1]
		if i, _ := strconv.Atoi(last[1:]); i < 800 || i > 830 {
			t.Errorf("seen: %v", p.seen)
		}
		for range 30 {
			p.ScrollBy(200)
			p.settle()
		}
		prev := 0
		for _, id := range p.seen {
			i, _ := strconv.Atoi(id[1:])
			if i <= prev || i%3 == 0 {
				t.Fatalf("seen in this order: %v", p.seen)
			}
			prev = i
		}
		id, y := p.middle()
		p.SetUnread("", 0)
		p.stays("the line went", id, y)
	})
}

func TestAJumpComesBackToThePixel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sit(t, 50_000, Conversation{})
		p.ScrollBy(-777)
		p.settle()
		id, y := p.middle()
		for _, to := range []string{"a49900", "a20", "a30000"} {
			p.JumpTo(to)
			p.settle()
			if at := p.top(to); !(at > 0 && at < 500) {
				t.Errorf("%s is at %v", to, at)
			}
			if !p.items[to].lit {
				t.Errorf("%s is not lit", to)
			}
			p.tidy("after a jump")
			time.Sleep(highlight + time.Millisecond)
			p.settle()
			if p.items[to].lit {
				t.Errorf("%s is lit for ever", to)
			}
		}
		for range 3 {
			if !p.Back() {
				t.Fatal("no way back")
			}
			p.settle()
		}
		p.stays("back", id, y)
		if p.Back() {
			t.Error("back from nowhere")
		}
		p.ToEnd()
		p.settle()
		p.JumpTo("a7")
		p.settle()
		p.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
		p.settle()
		p.atEnd("back at the end")

		// Who scrolled to the end by hand is at home: nothing leads away from there.
		p.JumpTo("a49000")
		p.settle()
		if !p.CanGoBack() {
			t.Error("no way back")
		}
		p.ToEnd()
		p.settle()
		if p.CanGoBack() {
			t.Error("a way back from the end")
		}
	})
}

// What was left is there again, in the same conversation or when it is opened anew.
func TestAPlaceIsFoundAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sit(t, 5_000, Conversation{})
		end := p.Place()
		p.ScrollBy(-4321)
		p.settle()
		id, y := p.middle()
		was := p.Place()
		p.Point("a7")
		p.settle()
		if !p.items["a7"].current || p.CanGoBack() {
			t.Error("it is not pointed at, or there is a way back of its own")
		}
		p.Point("")
		if p.items["a7"].current {
			t.Error("the ring stays")
		}
		p.Return(was)
		p.settle()
		p.stays("the place", id, y)
		c := p.conv
		c.Place = was
		p.Open(c)
		p.settle()
		p.stays("the place in a conversation that was opened anew", id, y)
		p.Return(end)
		p.settle()
		p.atEnd("the end")
	})
}

// where is a point in the text of a message.
func (p *person) where(id string, rune int) fyne.Position {
	p.Helper()
	it := p.items[id]
	if it == nil {
		p.Fatalf("%s is not shown", id)
	}
	r := it.shape.body.Rects(rune, rune+1)[0]
	return it.Position().Add(it.shape.at).AddXY(r.X+1, r.Y+r.Height/2)
}

func (p *person) press(at fyne.Position) {
	e := &desktop.MouseEvent{Button: desktop.MouseButtonPrimary}
	e.Position = at
	p.MouseMoved(e)
	p.MouseDown(e)
}

func (p *person) release(at fyne.Position) {
	e := &desktop.MouseEvent{Button: desktop.MouseButtonPrimary}
	e.Position = at
	p.MouseUp(e)
	p.DragEnd()
}

func (p *person) click(at fyne.Position) { p.press(at); p.release(at) }

func (p *person) drag(to fyne.Position) {
	p.Dragged(&fyne.DragEvent{PointEvent: fyne.PointEvent{Position: to}})
}

func (p *person) copy() string {
	c := test.NewClipboard()
	p.TypedShortcut(&fyne.ShortcutCopy{Clipboard: c})
	return c.Content()
}

// shownLast are the ids of the last messages in the window.
func (p *person) shownLast(n int) []string {
	var ids []string
	for _, it := range p.placed {
		if it.row.Kind == RowBubble {
			ids = append(ids, it.key)
		}
	}
	return ids[len(ids)-n:]
}

func TestCopyingFromOneAndFromSeveralMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sit(t, 60, Conversation{})
		ids := p.shownLast(3)
		p.press(p.where(ids[0], 0))
		p.drag(p.where(ids[0], 7))
		p.release(p.where(ids[0], 7))
		if got := p.copy(); got != "Message" {
			t.Errorf("copied %q", got)
		}
		// From the middle of one to the middle of the third, and the other way round.
		want := ""
		for _, way := range [][2]fyne.Position{{p.where(ids[0], 8), p.where(ids[2], 7)}, {p.where(ids[2], 7), p.where(ids[0], 8)}} {
			p.press(way[0])
			p.drag(way[1])
			p.release(way[1])
			got := p.copy()
			parts := strings.Split(got, "\n\n")
			if len(parts) != 3 || !strings.HasSuffix(parts[2], "\nMessage") || !strings.Contains(parts[1], "\n"+strings.TrimSpace(uneven(58))) || strings.Contains(parts[0], "Message") {
				t.Errorf("copied %q", got)
			}
			if want != "" && got != want {
				t.Errorf("the other way round %q", got)
			}
			want = got
		}
		// What is selected stays so when its rows leave the window and return.
		p.ScrollBy(-4000)
		p.ScrollBy(4000)
		p.settle()
		if got := p.copy(); got != want {
			t.Errorf("after scrolling: %q", got)
		}
		if s, e := p.items[ids[1]].body.Selected(); e-s != len([]rune(strings.TrimSpace(uneven(58)))) {
			t.Errorf("%d runes are shown as selected", e-s)
		}
		p.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
		if got := p.SelectedText(); got != "" {
			t.Errorf("after Esc %q is selected", got)
		}
		// Dragging below the window scrolls.
		p.ScrollBy(-900)
		id := p.shownLast(8)[0]
		p.press(p.where(id, 0))
		before := p.at
		p.drag(fyne.NewPos(300, 650))
		if p.at == before {
			t.Error("dragging outside did not scroll")
		}
		p.release(fyne.NewPos(300, 650))
		if p.copy() == "" {
			t.Error("nothing was selected")
		}
	})
}

func TestClickingParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sit(t, 400, Conversation{})
		long := "see https://ferry.example/ " + strings.Repeat("word ", 20_000)
		p.Add(
			Message{ID: "l", Author: "Anna", AuthorID: "anna", Time: now, Text: "see https://ferry.example/now", Reactions: []Reaction{{Emoji: "👍", Count: 2}}},
			Message{ID: "q", Mine: true, Time: now.Add(time.Second), Text: "yes", State: Kept, Words: "Kept at 2 relays", Reply: &Quote{ID: "a3", Name: "You", Text: "Message 3"}},
		)
		p.click(p.where("l", 10))
		if len(p.links) != 1 || p.links[0] != "https://ferry.example/now" || p.Cursor() != desktop.PointerCursor {
			t.Errorf("opened %v", p.links)
		}
		it := p.items["l"]
		p.click(it.Position().Add(it.shape.chips[0].at).AddXY(5, 5))
		if len(p.reacts) != 1 || p.reacts[0] != "l👍" {
			t.Errorf("reactions clicked: %v", p.reacts)
		}
		it = p.items["q"]
		p.click(it.Position().Add(it.shape.metaAt).AddXY(3, -3))
		if len(p.states) != 1 || p.states[0] != "q" {
			t.Errorf("states clicked: %v", p.states)
		}
		p.click(it.Position().Add(it.shape.quote.at).AddXY(5, 5))
		p.settle()
		if p.items["a3"] == nil || !p.items["a3"].lit {
			t.Error("the quote did not lead to its message")
		}
		p.ToEnd()
		p.settle()
		p.Add(Message{ID: "long", Author: "Anna", AuthorID: "anna", Time: now.Add(time.Minute), Text: long})
		it = p.items["long"]
		if !strings.Contains(it.shape.more, "KiB left") {
			t.Errorf("a long text says %q", it.shape.more)
		}
		y, h := it.Position().Y, it.shape.height
		p.click(it.Position().Add(it.shape.moreAt).AddXY(5, 5))
		p.stays("asking for more", "long", y)
		if it = p.items["long"]; it.shape.height < 3*h {
			t.Errorf("from %v px it grew to %v", h, it.shape.height)
		}
		p.links = nil
		p.press(p.where("long", 10))
		p.drag(p.where("long", 12))
		p.release(p.where("long", 12))
		if len(p.links) != 0 {
			t.Error("selecting in a link opened it")
		}
	})
}

func TestEverythingByKeyboard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sit(t, 500, Conversation{})
		key := func(k fyne.KeyName) { p.TypedKey(&fyne.KeyEvent{Name: k}); p.settle() }
		p.window.Canvas().Focus(p.Timeline)
		if m, ok := p.Current(); !ok || m.ID != "a499" || !p.items["a499"].current {
			t.Errorf("the focus is at %q", m.ID)
		}
		for range 40 {
			key(fyne.KeyUp)
			m, _ := p.Current()
			it := p.items[m.ID]
			if it == nil || !it.current || it.Position().Y < 0 || it.Position().Y > p.Size().Height-20 {
				t.Fatalf("%s has the focus and is not in the window", m.ID)
			}
		}
		if got := p.copy(); got != strings.TrimSpace(uneven(459)) && got != uneven(459) {
			t.Errorf("Ctrl+C copied %q", got)
		}
		key(fyne.KeyPageDown)
		key(fyne.KeyPageUp)
		key(fyne.KeyHome)
		if p.items["a0"] == nil {
			t.Error("Home is not at the start")
		}
		key(fyne.KeyEnd)
		p.atEnd("End")
		key(fyne.KeyUp)
		for _, open := range []fyne.KeyName{desktop.KeyMenu, fyne.KeyReturn} {
			key(open)
			if p.window.Canvas().Overlays().Top() == nil {
				t.Fatal("no menu")
			}
			p.window.Canvas().Overlays().Remove(p.window.Canvas().Overlays().Top())
		}
		m, _ := p.Current()
		p.StartPicking(m.ID)
		key(fyne.KeyUp)
		p.TypedRune(' ')
		if got := p.Picked(); len(got) != 2 || got[1].ID != m.ID {
			t.Errorf("picked %v", got)
		}
		if got := p.copy(); strings.Count(got, "Message") != 2 {
			t.Errorf("copied %q", got)
		}
		p.TypedRune(' ')
		key(fyne.KeyEscape)
		if fmt.Sprint(p.picks) != "[1 2 1 -1]" {
			t.Errorf("picks were told as %v", p.picks)
		}
		p.window.Canvas().Unfocus()
		for _, it := range p.placed {
			if it.current {
				t.Error("the focus is shown where it is not")
			}
		}
	})
}

func TestSoughtWordsAreMarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sit(t, 100, Conversation{})
		p.Seek(search.Parse(`"MÓRE words"`))
		marked := func() int {
			n := 0
			for _, it := range p.placed {
				n += len(it.found)
			}
			return n
		}
		if got := marked(); got < 5 {
			t.Errorf("%d are marked", got)
		}
		p.ScrollBy(-2000)
		p.settle()
		for _, it := range p.placed {
			if want := strings.Count(it.row.Message.Text, "more words"); it.row.Kind == RowBubble && len(it.found) != want {
				t.Errorf("%d of %d are marked in %s", len(it.found), want, it.key)
			}
		}
		p.Seek(search.Query{})
		if marked() != 0 {
			t.Error("marks stay")
		}
	})
}

func TestWhatScreenReadersSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sit(t, 3, Conversation{})
		p.Add(Message{ID: "x", Mine: true, Time: now, Text: "See you", State: Waiting, Reply: &Quote{Name: "Anna", Text: "?"}, Edited: true})
		if got := p.items["x"].AccessibilityLabel(); got != "You: See you, in answer to Anna, 12:00, edited, waiting on this device" {
			t.Errorf("%q", got)
		}
		if p.AccessibilityLabel() == "" || p.items["x"].AccessibilityRole() != fyne.AccessibleRoleText {
			t.Error("a part has no name or role")
		}
	})
}

func TestASourceThatFailsAndAnotherConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sit(t, 1000, Conversation{})
		p.source.fail = errors.New("the disk is gone")
		for range 40 {
			p.ScrollBy(-300)
		}
		p.settle()
		if len(p.errs) == 0 {
			t.Error("nothing said that it failed")
		}
		p.tidy("after an error")
		p.source.fail = nil
		p.ScrollBy(-10)
		p.ScrollBy(-10) // a page of it is on its way
		other := &history{n: 2, text: func(i int) string { return "other" }}
		p.Open(Conversation{Source: other})
		p.settle()
		if len(p.messages) != 2 || p.messages[0].Text != "other" {
			t.Errorf("%d messages of another conversation are shown", len(p.messages))
		}
		last := p.placed[len(p.placed)-1]
		if last.Position().Y+last.Size().Height+footer != p.Size().Height {
			t.Error("few messages do not stand at the bottom")
		}
		p.Open(Conversation{})
		if len(p.placed) != 0 || p.pill.Visible() || p.bar.Visible() {
			t.Error("something is shown of nothing")
		}
		p.ScrollBy(10)
		p.TypedKey(&fyne.KeyEvent{Name: fyne.KeyUp})
		p.click(fyne.NewPos(50, 50))
	})
}

func TestAnotherThemePaintsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sit(t, 5, Conversation{})
		light := p.placed[1].ground.FillColor
		fyne.CurrentApp().Settings().SetTheme(theme.New(theme.Dark))
		p.Refresh()
		if p.placed[1].ground.FillColor == light {
			t.Error("a bubble is as light as before")
		}
	})
}

// Whatever happens in whatever order, rows stand below each other without gaps, the
// window is filled, and what is not being moved stays.
func TestAnythingInAnyOrder(t *testing.T) {
	for seed := range uint64(2) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			p := sit(t, 3000, Conversation{FirstUnread: []string{"", "a2900"}[seed%2]})
			added := 0
			for n := range 200 {
				what := r.IntN(12)
				id, y := p.at.id, p.at.y
				moves := true
				if p.near { // then what is new may move it
					id = ""
				}
				switch what {
				case 0, 1, 2:
					p.ScrollBy(float32(r.IntN(1600) - 900))
				case 3:
					added++
					p.Add(Message{ID: fmt.Sprint("x", added), Author: "Anna", AuthorID: "anna", Time: now.Add(time.Duration(added) * time.Second), Text: uneven(r.IntN(40))})
					moves = false
				case 4:
					if i := r.IntN(len(p.messages)); p.messages[i].ID != id {
						m := p.messages[i]
						m.Text, m.Edited = uneven(r.IntN(100)), true
						m.Reactions = []Reaction{{Emoji: "🎉", Count: r.IntN(3) + 1}}
						p.Add(m)
						moves = false
					}
				case 5:
					if m := p.messages[r.IntN(len(p.messages))].ID; m != id && strings.HasPrefix(m, "x") {
						p.Remove(m)
						moves = false
					}
				case 6:
					p.window.Resize(fyne.NewSize(float32(400+r.IntN(500)), float32(300+r.IntN(500))))
				case 7:
					p.JumpTo(fmt.Sprint("a", r.IntN(3000)))
				case 8:
					p.Back()
				case 9:
					p.SetUnread([]string{"", fmt.Sprint("a", 2700+r.IntN(300))}[r.IntN(2)], 3)
					moves = false
				case 10:
					p.StartPicking(p.at.id)
					p.StopPicking()
				case 11:
					if r.IntN(4) == 0 {
						p.ToEnd()
					}
				}
				if !moves && id != "" {
					p.stays(fmt.Sprintf("seed %d, step %d, %d", seed, n, what), id, y)
				}
				if r.IntN(2) == 0 {
					p.settle()
					p.tidy(fmt.Sprintf("seed %d, step %d, %d", seed, n, what))
				}
				if t.Failed() {
					return
				}
			}
		})
	}
}
