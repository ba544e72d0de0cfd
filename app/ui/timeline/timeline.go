package timeline

import (
	"context"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/search"
	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/text"
	"github.com/godwit-im/godwit/app/ui/theme"
	parts "github.com/godwit-im/godwit/app/ui/widget"
)

// Config is what a Timeline works with. All functions but Do may be nil, and are called
// on the goroutine of the user interface.
type Config struct {
	Fonts *text.Fonts
	Lang  *lang.Lang
	// Do runs a function on the goroutine of the user interface. nil: fyne.Do.
	Do func(func())
	// Now is the time, with the place whose times of day are shown. nil: time.Now.
	Now func() time.Time

	OnLink     func(address string)                        // a link was clicked; the address is of an allowed kind
	OnMenu     func(m Message, selected string) parts.Menu // what can be done with a message, before copying it
	OnState    func(m Message)                             // time and state were clicked: tell more
	OnAction   func(m Message, n int)                      // a button of a card was pressed
	OnReaction func(m Message, emoji string)               // a reaction below it was clicked
	OnSeen     func(m Message)                             // the newest message by others that was in the window
	OnPick     func(n int)                                 // how many messages are picked; -1: picking ended
	OnTyped    func(r rune)                                // somebody writes, though the focus is here
	OnError    func(err error)                             // a page could not be loaded
}

// Conversation is what a Timeline shows.
type Conversation struct {
	Source      Source
	FirstUnread string // message id; the unread line is above it, and it is what is shown at first
	At          string // message id, which is shown at first instead, and lit for a moment
	Place       Place  // what is shown at first instead, as it was left
	Unread      int
	Authors     bool     // say who writes
	Names       []string // who can be mentioned
}

// Pixels.
const (
	stickWithin = 40  // from the end, new messages are followed
	footer      = 14  // below the last row
	header      = 8   // above the first
	beyond      = 240 // rows are kept ready this far outside of the window
	barWidth    = 6
	barLeast    = 36
	barZone     = 14 // where the scroll bar can be taken hold of
)

// How much of a long text is shown before somebody asks for more.
const (
	firstRunes = 1500
	firstLines = 25
)

// highlight is how long a message that was jumped to is lit.
const highlight = 2 * time.Second

// Place is where in a conversation somebody reads. The zero value is its end.
type Place struct{ at anchor }

// anchor is a place to read from: a message, and where its bubble begins.
type anchor struct {
	id string
	y  float32 // px below the top of the window
}

// Timeline is the widget. Make it with New; Open gives it a conversation.
type Timeline struct {
	widget.BaseWidget
	cfg     Config
	measure measurer

	conv         Conversation
	messages     []Message // what is loaded, oldest first
	rows         []Row
	index        map[string]int // of rows by key
	older, newer bool           // there is more beyond
	shapes       map[string]*shape
	limits       map[string][2]int // of texts that somebody asked more of
	heights      fenwick

	at     anchor
	follow bool // the end is what is shown
	near   bool // the end is near enough for new messages to be followed
	placed []*item
	pool   []*item
	items  map[string]*item
	back   []anchor // where jumps came from; an empty id is the end
	fresh  int      // new messages below the window
	seen   time.Time

	current string // of the keyboard
	ringed  bool
	lit     string
	sought  search.Query // marked wherever it is
	seeks   int          // of sought, for what was found already
	pointed string       // message id, with a ring
	litOff  func()
	fading  *time.Timer // until a message in the window says another time; nil: none does
	sel     selection
	clicks  text.Clicks
	held    holding
	picking bool
	picked  map[string]bool

	bar         *canvas.Rectangle
	pill        *pill
	cursor      desktop.Cursor
	countHeight float32
	icons       map[string]fyne.Resource
	ground      string // the colours that the items are painted in
	objects     []fyne.CanvasObject

	life           context.Context
	stop           context.CancelFunc
	work           sync.WaitGroup
	turn           int  // of conversations: what was loaded for another is dropped
	olders, newers bool // being loaded
	jumps          int
	placing        bool
	focused        bool
	closed         bool
}

var (
	_ fyne.Widget            = (*Timeline)(nil)
	_ fyne.Scrollable        = (*Timeline)(nil)
	_ fyne.Draggable         = (*Timeline)(nil)
	_ fyne.Focusable         = (*Timeline)(nil)
	_ fyne.Shortcutable      = (*Timeline)(nil)
	_ fyne.SecondaryTappable = (*Timeline)(nil)
	_ fyne.Accessible        = (*Timeline)(nil)
	_ desktop.Mouseable      = (*Timeline)(nil)
	_ desktop.Hoverable      = (*Timeline)(nil)
	_ desktop.Cursorable     = (*Timeline)(nil)
)

// New is a Timeline without a conversation. Close it when its window goes.
func New(cfg Config) *Timeline {
	if cfg.Do == nil {
		cfg.Do = fyne.Do
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	t := &Timeline{
		cfg: cfg, index: map[string]int{}, shapes: map[string]*shape{}, limits: map[string][2]int{}, items: map[string]*item{},
		picked: map[string]bool{}, icons: map[string]fyne.Resource{}, bar: canvas.NewRectangle(nil), cursor: desktop.DefaultCursor,
	}
	t.life, t.stop = context.WithCancel(context.Background())
	t.measure = measurer{
		fonts: cfg.Fonts, lang: cfg.Lang, docs: map[string]*text.Doc{}, named: map[string]*text.Layout{},
		limit: func(id string) [2]int {
			more := t.limits[id]
			return [2]int{firstRunes + more[0], firstLines + more[1]}
		},
		left: func(m *Message) string {
			word, _ := left(t.cfg.Lang, m, t.cfg.Now())
			return word
		},
		stamp: func(at time.Time) string { return at.In(t.cfg.Now().Location()).Format("15:04") },
		words: func(s string) float32 { return ceil(fyne.MeasureText(s, theme.TextMeta, fyne.TextStyle{}).Width) },
	}
	t.bar.CornerRadius = barWidth / 2
	t.pill = newPill(t)
	t.pill.Hide()
	t.metrics()
	t.ExtendBaseWidget(t)
	return t
}

func ceil(v float32) float32 {
	if w := float32(int(v)); w < v {
		return w + 1
	}
	return v
}

// metrics looks at the fonts of the words of ours.
func (t *Timeline) metrics() {
	t.countHeight = fyne.MeasureText("0", theme.TextCaption, fyne.TextStyle{}).Height
	t.bar.FillColor = theme.Color("scrollBar")
}

// icon is one of the theme's in a colour, made once.
func (t *Timeline) icon(name string, c fyne.ThemeColorName) fyne.Resource {
	key := name + string(c)
	if r, ok := t.icons[key]; ok {
		return r
	}
	r := theme.Icon(name, c)
	t.icons[key] = r
	return r
}

// Close stops what is being loaded, and waits for it.
func (t *Timeline) Close() {
	t.closed = true
	if t.litOff != nil {
		t.litOff()
	}
	if t.fading != nil {
		t.fading.Stop()
	}
	t.stop()
	t.work.Wait()
}

// Open shows a conversation: from the first message that was not read, or at its end.
func (t *Timeline) Open(c Conversation) {
	t.turn++
	t.conv = c
	t.messages, t.older, t.newer, t.olders, t.newers = nil, false, false, false, false
	t.back, t.fresh, t.seen, t.current, t.lit, t.sel, t.at, t.sought = nil, 0, time.Time{}, "", "", selection{}, anchor{}, search.Query{}
	t.seeks++
	t.pointed = ""
	t.held = holding{}
	clear(t.shapes)
	clear(t.measure.docs)
	clear(t.limits)
	t.endPicking()
	t.measure.names = c.Names
	t.follow = c.FirstUnread == ""
	t.near = t.follow
	t.rebuild()
	if c.Source == nil {
		return
	}
	if c.At != "" {
		t.follow, t.near = false, false
		t.light(c.At)
		t.loadWithin(blink, Request{Around: c.At, Limit: firstPage}, func(p Page) { t.replace(p, anchor{c.At, t.Size().Height / 3}) })
		return
	}
	if c.Place.at.id != "" {
		t.follow, t.near = false, false
		t.loadWithin(blink, Request{Around: c.Place.at.id, Limit: firstPage}, func(p Page) { t.replace(p, c.Place.at) })
		return
	}
	if c.FirstUnread == "" {
		t.loadWithin(blink, Request{Limit: firstPage}, func(p Page) { t.replace(p, anchor{}) })
		return
	}
	t.loadWithin(blink, Request{Around: c.FirstUnread, Limit: firstPage}, func(p Page) {
		t.replace(p, anchor{c.FirstUnread, max(60, t.Size().Height/4)})
	})
}

// load asks the source for a page, and hands it over if the conversation is still shown.
func (t *Timeline) load(r Request, then func(Page)) { t.loadWithin(0, r, then) }

// blink is how long the window waits for what somebody asked to see: a frame. The store
// takes a millisecond or two, on a computer that has much else to do some more. What comes
// so soon stands there at once, without an empty frame before it, which where there is no
// GPU takes longer to draw than that.
const blink = time.Second / 60

// loadWithin asks for a page. What comes within a time is used before it returns, what comes
// later when it comes.
func (t *Timeline) loadWithin(wait time.Duration, r Request, then func(Page)) {
	if t.closed {
		return
	}
	turn, source := t.turn, t.conv.Source
	soon, late := make(chan func()), make(chan struct{})
	t.work.Go(func() {
		p, err := source.Page(t.life, r)
		use := func() {
			if turn != t.turn || t.closed {
				return
			}
			if err != nil {
				t.olders, t.newers = false, false
				if t.cfg.OnError != nil {
					t.cfg.OnError(err)
				}
				return
			}
			then(p)
		}
		select {
		case soon <- use:
		case <-late:
			if t.life.Err() == nil {
				t.cfg.Do(use)
			}
		}
	})
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case use := <-soon:
			use()
			return
		case <-timer.C:
		}
	}
	close(late)
}

// replace shows a page instead of all that was there. An empty anchor is the end.
func (t *Timeline) replace(p Page, at anchor) {
	t.messages, t.older, t.newer = p.Messages, p.Older, p.Newer
	t.olders, t.newers = false, false
	t.follow = at.id == ""
	t.at = at
	t.rebuild()
}

// Add takes new messages, and new versions of some that may be shown. They come in the
// order of the conversation.
func (t *Timeline) Add(messages ...Message) {
	end := false
	for _, m := range messages {
		if i := t.find(m.ID); i >= 0 {
			t.messages[i] = m
			t.forget(m.ID)
			continue
		}
		if n := len(t.messages); n > 0 && m.Time.Before(t.messages[n-1].Time) {
			t.insert(m) // it was late
			continue
		}
		if m.Mine {
			end = true
		} else if !t.near {
			t.fresh++
		}
		if t.newer {
			continue // it will come with its page
		}
		t.messages = append(t.messages, m)
		t.follow = t.near
	}
	if end {
		t.ToEnd()
	}
	t.rebuild()
}

// insert puts a message where its time is, unless that is before what is loaded.
func (t *Timeline) insert(m Message) {
	i := len(t.messages)
	for i > 0 && m.Time.Before(t.messages[i-1].Time) {
		i--
	}
	if i == 0 && t.older {
		return
	}
	t.messages = append(t.messages, Message{})
	copy(t.messages[i+1:], t.messages[i:])
	t.messages[i] = m
}

// Remove takes messages away: they have disappeared, or were deleted here. Where they are
// quoted nothing of them stays.
func (t *Timeline) Remove(ids ...string) {
	for _, id := range ids {
		for i := range t.messages {
			if m := &t.messages[i]; m.Reply != nil && m.Reply.ID == id {
				m.Reply = &Quote{ID: id, Name: m.Reply.Name, Text: t.cfg.Lang.T("This message is not here.")}
				t.forget(m.ID)
			}
		}
		i := t.find(id)
		if i < 0 {
			continue
		}
		if t.at.id == id && len(t.messages) > 1 { // what stands beside it keeps its place
			j := i + 1
			if j == len(t.messages) {
				j = i - 1
			}
			t.at.id = t.messages[j].ID
		}
		t.messages = append(t.messages[:i], t.messages[i+1:]...)
		delete(t.picked, id)
		t.forget(id)
	}
	t.rebuild()
}

// SetUnread moves the unread line; an empty id takes it away.
func (t *Timeline) SetUnread(first string, n int) {
	t.conv.FirstUnread, t.conv.Unread = first, n
	t.rebuild()
}

// Cards are the ids of those loaded.
func (t *Timeline) Cards() (ids []string) {
	for i := range t.messages {
		if t.messages[i].Kind == Card {
			ids = append(ids, t.messages[i].ID)
		}
	}
	return ids
}

// forget drops what was measured of a message.
func (t *Timeline) forget(id string) {
	delete(t.shapes, id)
	delete(t.measure.docs, id)
}

// find is where a message is among those loaded, -1 if it is not.
func (t *Timeline) find(id string) int {
	return slices.IndexFunc(t.messages, func(m Message) bool { return m.ID == id })
}

// rebuild makes the rows anew and places them.
func (t *Timeline) rebuild() {
	old := t.rows
	t.rows = Rows(t.messages, Options{FirstUnread: t.conv.FirstUnread, Unread: t.conv.Unread, Authors: t.conv.Authors, Now: t.cfg.Now(), Lang: t.cfg.Lang})
	clear(t.index)
	for i := range t.rows {
		t.index[t.rows[i].Key] = i
	}
	for i := range old {
		o := &old[i]
		j, ok := t.index[o.Key]
		if !ok {
			continue
		}
		n := &t.rows[j]
		if n.Above != o.Above || n.Below != o.Below || n.Words != o.Words || n.Author != o.Author || n.Label != o.Label {
			delete(t.shapes, o.Key)
		}
	}
	t.estimate()
	t.place()
}

// estimate gives every row a height, the measured one if there is.
func (t *Timeline) estimate() {
	t.measure.width = t.Size().Width
	h := make([]float32, len(t.rows))
	for i := range t.rows {
		if s, ok := t.shapes[t.rows[i].Key]; ok {
			h[i] = s.height + t.rows[i].Gap
		} else {
			h[i] = t.measure.estimate(&t.rows[i])
		}
	}
	t.heights.reset(h)
}

// shape measures a row, once for each width.
func (t *Timeline) shape(i int) *shape {
	r := &t.rows[i]
	s, ok := t.shapes[r.Key]
	if !ok {
		if r.Kind == RowBubble {
			s = t.measure.bubble(r)
		} else {
			s = t.measure.mark(r)
		}
		t.shapes[r.Key] = s
	}
	t.heights.set(i, s.height+r.Gap)
	return s
}

// spot is a row and where it is placed; y is that of its gap.
type spot struct {
	row int
	y   float32
}

// place puts the rows near the window where the anchor says, and asks for more pages
// where they run out.
func (t *Timeline) place() {
	t.set()
	parts.Repaint(t)
}

// set does so in the course of a layout, which is before a frame is drawn: to ask for a
// frame then would draw the same once more.
func (t *Timeline) set() {
	size := t.Size()
	if t.placing || size.Width < 1 || size.Height < 1 {
		return
	}
	t.placing = true
	defer func() { t.placing = false }()

	var spots []spot
	if len(t.rows) > 0 {
		spots = t.spots(size.Height)
		t.keep(spots, size.Height)
	}
	t.exhibit(spots, size)
	t.more(spots)
}

// spots decides which rows are where, from top to bottom.
func (t *Timeline) spots(height float32) []spot {
	first, ok := t.index[t.at.id]
	if t.follow || !ok {
		return t.up(len(t.rows), height-footer, nil)
	}
	y := t.at.y - t.rows[first].Gap
	for range 3 {
		down := t.down(first, y, height)
		if last := down[len(down)-1]; last.row == len(t.rows)-1 {
			if end := last.y + t.heights.heights[last.row] + footer; end < height-0.5 {
				if t.newer {
					break // more is coming
				}
				return t.up(len(t.rows), height-footer, nil) // beyond the end
			}
		}
		all := t.up(first, y, down)
		if top := all[0]; top.row == 0 && top.y > header+0.5 && !t.older {
			last := all[len(all)-1]
			if last.row == len(t.rows)-1 && last.y+t.heights.heights[last.row]-top.y+footer+header <= height {
				return t.up(len(t.rows), height-footer, nil) // all fits: it stands at the bottom
			}
			first, y = 0, header
			continue
		}
		return all
	}
	return t.up(first, y, t.down(first, y, height))
}

// down places rows from one at y until below the window.
func (t *Timeline) down(i int, y, height float32) []spot {
	var out []spot
	for ; i < len(t.rows); i++ {
		out = append(out, spot{i, y})
		t.shape(i)
		if y += t.heights.heights[i]; y > height+beyond {
			break
		}
	}
	return out
}

// up places rows above one that is at y until above the window, before those below.
func (t *Timeline) up(i int, y float32, below []spot) []spot {
	var rev []spot
	for i--; i >= 0 && y > -beyond; i-- {
		t.shape(i)
		y -= t.heights.heights[i]
		rev = append(rev, spot{i, y})
	}
	out := make([]spot, 0, len(rev)+len(below))
	for j := len(rev) - 1; j >= 0; j-- {
		out = append(out, rev[j])
	}
	return append(out, below...)
}

// keep takes the first message in the window as the anchor. Days may come and go.
func (t *Timeline) keep(spots []spot, height float32) {
	t.at = anchor{}
	for _, s := range spots {
		r := &t.rows[s.row]
		if r.Message == nil {
			continue
		}
		y := s.y + r.Gap
		t.at = anchor{r.Key, y}
		if s.y+t.heights.heights[s.row] > 0 {
			break
		}
	}
	if len(spots) > 0 {
		if last := spots[len(spots)-1]; last.row == len(t.rows)-1 && !t.newer {
			left := last.y + t.heights.heights[last.row] + footer - height
			t.follow, t.near = left <= 1, left <= stickWithin
		} else {
			t.follow, t.near = false, false
		}
	}
	if t.near {
		t.fresh = 0
	}
}

// exhibit gives each row that is placed an item, from the pool.
func (t *Timeline) exhibit(spots []spot, size fyne.Size) {
	ground := theme.Inks()
	repaint := ground != t.ground
	t.ground = ground
	if repaint {
		clear(t.icons)
		t.metrics()
	}
	want := make(map[string]bool, len(spots))
	for _, s := range spots {
		want[t.rows[s.row].Key] = true
	}
	for key, it := range t.items {
		if !want[key] {
			delete(t.items, key)
			t.pool = append(t.pool, it)
		}
	}
	t.placed = t.placed[:0]
	t.objects = t.objects[:0]
	for _, s := range spots {
		r := t.rows[s.row]
		sh := t.shapes[r.Key]
		it, ok := t.items[r.Key]
		if !ok {
			if n := len(t.pool); n > 0 {
				it, t.pool = t.pool[n-1], t.pool[:n-1]
			} else {
				it = newItem(t)
			}
			t.items[r.Key] = it
		}
		if !ok || it.shape != sh || repaint {
			it.show(r, sh)
		}
		it.row = r
		t.adorn(it)
		put(it, fyne.NewPos(0, s.y+r.Gap), fyne.NewSize(size.Width, sh.height))
		t.placed = append(t.placed, it)
		t.objects = append(t.objects, it)
	}
	if len(t.shapes) > 4*len(spots)+400 { // far away ones are measured again if need be
		for key := range t.shapes {
			if !want[key] {
				delete(t.shapes, key)
				delete(t.measure.docs, key)
			}
		}
	}
	t.placeBar(size)
	t.placePill(size)
	t.objects = append(t.objects, t.bar, t.pill.Press)
	t.fade()
	t.tellSeen(spots, size.Height)
}

// adorn shows focus, light, selection and picking of a row.
func (t *Timeline) adorn(it *item) {
	current := t.current == it.key && t.focused && t.ringed || t.pointed == it.key
	lit := t.lit == it.key
	picked := t.picked[it.key]
	start, end := t.sel.of(t, it)
	changed := it.body.Select(start, end)
	if found := t.found(it); !slices.Equal(found, it.found) {
		it.found, changed = found, true
		it.body.Mark(found)
	}
	if it.current != current || it.lit != lit || it.picking != t.picking || it.picked != picked || changed {
		it.current, it.lit, it.picking, it.picked = current, lit, t.picking, picked
		it.arrange()
	}
}

// Seek marks what a query finds, in every message; an empty one ends that.
func (t *Timeline) Seek(q search.Query) {
	t.sought = q
	t.seeks++
	t.readorn()
}

// found is where the sought words are in an item, in runes.
func (t *Timeline) found(it *item) [][2]int {
	if t.sought.Empty() || it.row.Kind != RowBubble {
		return nil
	}
	if s := it.shape; s.seeks != t.seeks { // not with every step of scrolling
		s.seeks, s.found = t.seeks, nil
		said := string(s.body.Doc.Runes)
		at, n := 0, 0
		for _, r := range t.sought.Find(said) {
			from := n + utf8.RuneCountInString(said[at:r.From])
			n = from + utf8.RuneCountInString(said[r.From:r.To])
			at = r.To
			s.found = append(s.found, [2]int{from, n})
		}
	}
	return it.shape.found
}

// readorn does so for all, when nothing moves.
func (t *Timeline) readorn() {
	for _, it := range t.placed {
		t.adorn(it)
	}
	parts.Repaint(t)
}

// placeBar shows where in what is loaded the window is.
func (t *Timeline) placeBar(size fyne.Size) {
	total := t.heights.before(len(t.rows)) + header + footer
	if total <= size.Height || len(t.rows) == 0 {
		t.bar.Hide()
		return
	}
	t.bar.Show()
	h := max(barLeast, size.Height*size.Height/total)
	y := (size.Height - h) * t.offset() / (total - size.Height)
	put(t.bar, fyne.NewPos(size.Width-barWidth-3, max(0, min(size.Height-h, y))), fyne.NewSize(barWidth, h))
}

// offset is how far the window is from the first row, as far as that is known.
func (t *Timeline) offset() float32 {
	i, ok := t.index[t.at.id]
	if !ok {
		return 0
	}
	return t.heights.before(i) + t.rows[i].Gap + header - t.at.y
}

// more asks for pages when the rows are about to run out.
func (t *Timeline) more(spots []spot) {
	if len(t.messages) == 0 || t.conv.Source == nil {
		return
	}
	first, last := 0, len(t.rows)-1
	if len(spots) > 0 {
		first, last = spots[0].row, spots[len(spots)-1].row
	}
	if first < loadAhead && t.older && !t.olders {
		t.olders = true
		t.load(Request{Before: t.messages[0].ID, Limit: pageSize}, t.prepend)
	}
	if last >= len(t.rows)-loadAhead && t.newer && !t.newers {
		t.newers = true
		t.load(Request{After: t.messages[len(t.messages)-1].ID, Limit: pageSize}, t.append)
	}
}

func (t *Timeline) prepend(p Page) {
	t.olders = false
	page := t.unknown(p.Messages)
	t.older = p.Older && len(page) > 0 // a source that says more and has none is not asked for ever
	t.messages = append(page, t.messages...)
	if len(t.messages) > keep {
		t.letGo(t.messages[keep:])
		t.messages = t.messages[:keep:keep]
		t.newer = true
	}
	t.rebuild()
}

func (t *Timeline) append(p Page) {
	t.newers = false
	page := t.unknown(p.Messages)
	t.newer = p.Newer && len(page) > 0
	t.follow = false
	t.messages = append(t.messages, page...)
	if n := len(t.messages) - keep; n > 0 {
		t.letGo(t.messages[:n])
		t.messages = append([]Message(nil), t.messages[n:]...)
		t.older = true
	}
	t.rebuild()
}

// unknown are the messages of a page that are not loaded yet.
func (t *Timeline) unknown(page []Message) []Message {
	out := make([]Message, 0, len(page)+len(t.messages))
	for _, m := range page {
		if _, ok := t.index[m.ID]; !ok {
			out = append(out, m)
		}
	}
	return out
}

func (t *Timeline) letGo(messages []Message) {
	for i := range messages {
		t.forget(messages[i].ID)
	}
}

// tellSeen reports the newest message of others that is in the window as a whole.
func (t *Timeline) tellSeen(spots []spot, height float32) {
	if t.cfg.OnSeen == nil {
		return
	}
	for i := len(spots) - 1; i >= 0; i-- {
		s := spots[i]
		m := t.rows[s.row].Message
		if m == nil || m.Mine || s.y+t.heights.heights[s.row] > height+1 {
			continue
		}
		if m.Time.After(t.seen) {
			t.seen = m.Time
			t.cfg.OnSeen(*m)
		}
		return
	}
}

// ScrollBy moves the window by px, down if dy is more than 0.
func (t *Timeline) ScrollBy(dy float32) {
	if len(t.rows) == 0 || dy == 0 {
		return
	}
	t.follow = false
	t.at.y -= dy
	t.place()
	if t.near && !t.newer {
		t.back = nil // who came home by themselves is not to be led away
	}
}

// AtEnd tells whether the newest message is in the window.
func (t *Timeline) AtEnd() bool { return t.near && !t.newer }

// InSight are the rows in the window, from the top.
func (t *Timeline) InSight() []Row {
	list := make([]Row, 0, len(t.placed))
	for _, p := range t.placed {
		list = append(list, p.row)
	}
	return list
}

// ToEnd goes to the newest message.
func (t *Timeline) ToEnd() {
	t.back, t.fresh = nil, 0
	if t.newer {
		t.jumps++
		turn := t.jumps
		t.loadWithin(blink, Request{Limit: firstPage}, func(p Page) {
			if turn == t.jumps {
				t.replace(p, anchor{})
			}
		})
		return
	}
	t.follow = true
	t.place()
}

// ToStart goes to the very first message.
func (t *Timeline) ToStart() {
	if t.older {
		t.jumps++
		turn := t.jumps
		t.loadWithin(blink, Request{Oldest: true, Limit: firstPage}, func(p Page) {
			if turn == t.jumps && len(p.Messages) > 0 {
				t.replace(p, anchor{p.Messages[0].ID, header + gapMark + markHeight + gapGroup})
			}
		})
		return
	}
	if len(t.messages) > 0 {
		t.follow = false
		t.at = anchor{t.messages[0].ID, header + gapMark + markHeight + gapGroup}
		t.place()
	}
}

// JumpTo shows a message in the middle of the window and lights it for a moment. Back
// returns from there.
func (t *Timeline) JumpTo(id string) {
	t.back = append(t.back, t.Place().at)
	t.Reveal(id)
}

// Reveal is JumpTo without a way back.
func (t *Timeline) Reveal(id string) {
	t.light(id)
	t.goTo(anchor{id, t.Size().Height / 3})
}

// Point shows a message and draws a ring round it, until another one is pointed at; an
// empty id ends that.
func (t *Timeline) Point(id string) {
	t.pointed = id
	if id != "" {
		t.Reveal(id)
	}
	t.readorn()
}

// Place is where the window is.
func (t *Timeline) Place() Place {
	if t.AtEnd() {
		return Place{}
	}
	return Place{t.at}
}

// Return goes where the window was, to the pixel.
func (t *Timeline) Return(to Place) {
	if to.at.id == "" {
		back := t.back
		t.ToEnd()
		t.back = back
		return
	}
	t.goTo(to.at)
}

// CanGoBack says whether Back leads anywhere.
func (t *Timeline) CanGoBack() bool { return len(t.back) > 0 }

// Back returns to where the last jump came from, to the pixel. It reports false if
// there was none.
func (t *Timeline) Back() bool {
	n := len(t.back)
	if n == 0 {
		return false
	}
	to := t.back[n-1]
	t.back = t.back[:n-1]
	t.Return(Place{to})
	return true
}

func (t *Timeline) goTo(to anchor) {
	t.jumps++
	if _, ok := t.index[to.id]; ok {
		t.follow = false
		t.at = to
		t.place()
		return
	}
	turn := t.jumps
	t.loadWithin(blink, Request{Around: to.id, Limit: firstPage * 2}, func(p Page) {
		if turn == t.jumps {
			t.replace(p, to)
		}
	})
}

// light shows a message as found, for two seconds.
func (t *Timeline) light(id string) {
	if t.litOff != nil {
		t.litOff()
	}
	t.lit = id
	timer := time.AfterFunc(highlight, func() {
		t.cfg.Do(func() {
			if t.lit == id && !t.closed {
				t.lit = ""
				t.readorn()
			}
		})
	})
	t.litOff = func() { timer.Stop() }
	t.readorn()
}

// CreateRenderer implements fyne.Widget.
func (t *Timeline) CreateRenderer() fyne.WidgetRenderer { return (*renderer)(t) }

type renderer Timeline

func (r *renderer) Layout(s fyne.Size) {
	t := (*Timeline)(r)
	if s.Width != t.measure.width {
		clear(t.shapes)
		t.estimate()
	}
	t.follow = t.follow || t.near
	t.set()
}
func (r *renderer) MinSize() fyne.Size           { return fyne.NewSize(200, 100) }
func (r *renderer) Objects() []fyne.CanvasObject { return r.objects }
func (r *renderer) Destroy()                     {}

// Refresh follows a change of theme.
func (r *renderer) Refresh() { (*Timeline)(r).place() }

// AccessibilityLabel implements fyne.Accessible.
func (t *Timeline) AccessibilityLabel() string { return t.cfg.Lang.T("Messages") }

// AccessibilityRole implements fyne.Accessible.
func (t *Timeline) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleContainer }
