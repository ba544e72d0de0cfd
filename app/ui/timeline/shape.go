package timeline

import (
	"strconv"
	"strings"
	"time"

	"fyne.io/fyne/v2"

	"github.com/godwit-im/godwit/app/ui/emoji"
	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/text"
	"github.com/godwit-im/godwit/app/ui/theme"
)

// Measures of a row, in px.
const (
	side       = 24 // left and right of all rows
	padX       = 12 // inside of bubbles
	padY       = 7
	metaGap    = 8 // between the last word and the time
	iconSize   = 14
	quoteWidth = 3 // the bar of a quote
	chipHeight = 24
	chipEmoji  = 15
	chipOver   = 6 // how far reactions lie over the bubble
	markHeight = 24
	leastText  = 24
)

// shape is a row as it is measured for a width: where its parts are. Positions are
// from the left upper corner of the row, without its gap.
type shape struct {
	height float32
	box    fyne.Position // of the bubble
	size   fyne.Size

	author *text.Layout
	quote  *quoteShape
	body   *text.Layout
	at     fyne.Position // of the text
	width  float32       // of the box of the text

	more   string // what stands under a text that was cut
	moreAt fyne.Position

	meta   []metaPart
	metaAt fyne.Position // its left end, on its baseline
	metaW  float32

	chips []chipShape
	big   bool // emoji alone: without a bubble

	buttons []buttonShape

	found [][2]int // what is sought, in runes of the text
	seeks int      // for which that was looked for
}

type quoteShape struct {
	at         fyne.Position
	size       fyne.Size
	name, text *text.Layout
}

type buttonShape struct {
	name string
	at   fyne.Position
	size fyne.Size
}

// metaPart is an icon or words of the line with the time.
type metaPart struct {
	icon  string
	text  string
	width float32
}

type chipShape struct {
	at    fyne.Position
	width float32
	of    Reaction
	id    emoji.ID // -1: shown as text
}

// measurer measures rows for a width.
type measurer struct {
	fonts *text.Fonts
	lang  *lang.Lang
	names []string
	width float32
	inset float32                 // room for the marks of selecting, left of incoming messages
	limit func(id string) [2]int  // runes and lines shown of a message
	left  func(*Message) string   // how long one that disappears is still there
	stamp func(time.Time) string  // how a time of day is written
	words func(s string) float32  // width of words of ours in the size of meta
	docs  map[string]*text.Doc    // of messages, by id, while they do not change
	named map[string]*text.Layout // of authors and such
}

// room is the widest that text in a bubble may be.
func (m *measurer) room() float32 {
	most := m.width - 2*side - m.inset - 2*padX
	if most > 500 {
		most -= 48 // who writes is seen by the side it is on, even where lines are full
	} else {
		most -= 24
	}
	return max(40, min(theme.BubbleMax, most))
}

// mark is the shape of a day, the unread line or a notice.
func (m *measurer) mark(r *Row) *shape {
	s := &shape{}
	doc := text.Parse(text.OneLine(r.Label), text.Options{Emoji: m.fonts.Emoji(), Plain: true, Runes: 400})
	s.body = m.fonts.Layout(doc, theme.TextCaption, max(60, m.width-2*side-2*padX))
	s.size = fyne.NewSize(s.body.Width+2*padX, max(markHeight, s.body.Height+8))
	s.box = fyne.NewPos(float32(int((m.width-s.size.Width)/2)), 0)
	s.at = s.box.AddXY(padX, float32(int((s.size.Height-s.body.Height)/2)))
	s.width = s.body.Width
	s.height = s.size.Height
	return s
}

// bubble is the shape of a message.
func (m *measurer) bubble(r *Row) *shape {
	msg := r.Message
	s := &shape{}
	room := m.room()
	limit := m.limit(msg.ID)
	doc := m.docs[msg.ID]
	if doc == nil {
		raw := msg.Text
		if msg.Deleted {
			raw = m.lang.T("This message was deleted.")
		}
		doc = text.Parse(raw, text.Options{Emoji: m.fonts.Emoji(), Names: m.names, Runes: limit[0], Lines: limit[1], Plain: msg.Deleted})
		m.docs[msg.ID] = doc
	}
	size := theme.TextBody
	if msg.Deleted {
		size = theme.TextSecondary
	}
	s.body = m.fonts.Layout(doc, size, room)
	s.big = doc.Big && msg.Reply == nil && !r.Author
	s.meta = m.metaOf(r)
	for _, p := range s.meta {
		s.metaW += p.width
	}
	s.metaW += float32(len(s.meta)-1) * 4

	// Inside of the bubble, from the top.
	inner := max(leastText, s.body.Width)
	y := float32(padY)
	if r.Author {
		s.author = m.line(msg.Author, theme.TextCaption, room, true)
		inner = max(inner, s.author.Width)
		y += s.author.Height + 2
	}
	if msg.Title != "" {
		s.author = m.fonts.Cut(text.Parse(text.OneLine(msg.Title), text.Options{Emoji: m.fonts.Emoji(), Plain: true, Runes: 300}).InStyle(text.Bold), theme.TextBody, room, 3)
		inner = max(inner, s.author.Width)
		y += s.author.Height + 4
	}
	if msg.Reply != nil && !msg.Deleted {
		q := &quoteShape{at: fyne.NewPos(padX, y+1)}
		q.name = m.line(msg.Reply.Name, theme.TextCaption, room-24, true)
		q.text = m.excerpt(msg.Reply.Text, room-24)
		q.size = fyne.NewSize(max(q.name.Width, q.text.Width)+24, q.name.Height+q.text.Height+14)
		inner = max(inner, q.size.Width)
		s.quote = q
		y += q.size.Height + 7
	}
	top := y
	y += s.body.Height
	last := &s.body.Rows[len(s.body.Rows)-1]
	metaInside, beside := false, false
	if doc.Left > 0 {
		s.more = m.lang.T("Show more ({size} left)", "size", m.lang.Size(int64(doc.Left)))
		s.moreAt = fyne.NewPos(padX, y+5)
		y += 22
		if need := m.words(s.more)*1.2 + metaGap + s.metaW; need <= room {
			inner = max(inner, need)
			y -= 15 // the time stands beside it
			beside = true
		} else {
			inner = max(inner, m.words(s.more)*1.2)
		}
	} else if s.big {
		y += 2
	} else if need := last.Width + metaGap + s.metaW; need <= room {
		inner = max(inner, need)
		metaInside = true
	}
	inner = ceil(max(inner, min(s.metaW, room)))
	meta := fyne.NewPos(padX+inner-s.metaW, 0)
	switch {
	case metaInside:
		meta.Y = top + last.Y + last.Baseline
		if last.RTL {
			meta.X = padX // the words end at the left
		}
	default:
		y += 15
		meta.Y = y - 3
		if beside {
			s.moreAt.Y = meta.Y - theme.TextCaption
		}
	}
	if s.quote != nil {
		s.quote.size.Width = inner
	}
	s.width = inner
	if s.big {
		s.width = s.body.Width
	}
	if len(msg.Actions) > 0 {
		y = m.actions(s, msg, y+9, &inner)
	}
	if len(msg.Reactions) > 0 && !msg.Deleted {
		y += 3 // they lie over the lower edge
	}
	s.size = fyne.NewSize(inner+2*padX, y+padY)
	s.box = fyne.NewPos(side+m.inset, 0)
	if msg.Mine {
		s.box.X = m.width - side - s.size.Width
	}
	s.at = s.box.AddXY(padX, top)
	if s.big && msg.Mine {
		s.at.X += inner - s.body.Width
	}
	s.metaAt = s.box.Add(meta)
	s.moreAt = s.moreAt.Add(s.box)
	if s.quote != nil {
		s.quote.at = s.quote.at.Add(s.box)
	}
	for i := range s.buttons {
		s.buttons[i].at = s.buttons[i].at.Add(s.box)
	}
	s.height = s.size.Height
	m.chips(s, msg)
	return s
}

// actions puts the buttons of a card beside each other, or below each other where they do not
// fit, from y on; it returns where they end.
func (m *measurer) actions(s *shape, msg *Message, y float32, inner *float32) float32 {
	const gap, height = 8, theme.Primary - 4
	x := float32(0)
	for _, name := range msg.Actions {
		w := min(m.room(), ceil(fyne.MeasureText(name, theme.TextBody, fyne.TextStyle{Bold: true}).Width)+2*theme.Space5)
		if x > 0 && x+w > m.room() {
			x, y = 0, y+height+gap
		}
		s.buttons = append(s.buttons, buttonShape{name, fyne.NewPos(padX+x, y), fyne.NewSize(w, height)})
		x += w + gap
		*inner = max(*inner, x-gap)
	}
	return y + height + 5
}

// line is a text of one row: a name.
func (m *measurer) line(name string, size, width float32, bold bool) *text.Layout {
	key := strconv.Itoa(int(size)) + strconv.Itoa(int(width)) + name
	if l, ok := m.named[key]; ok {
		return l
	}
	doc := text.Parse(text.OneLine(name), text.Options{Emoji: m.fonts.Emoji(), Plain: true, Runes: 120})
	if bold {
		doc = doc.InStyle(text.Bold)
	}
	l := m.fonts.Cut(doc, size, width, 1)
	if len(m.named) > 500 {
		clear(m.named)
	}
	m.named[key] = l
	return l
}

// excerpt is the beginning of a quoted message: two rows.
func (m *measurer) excerpt(s string, width float32) *text.Layout {
	doc := text.Parse(text.OneLine(s), text.Options{Emoji: m.fonts.Emoji(), Plain: true, Runes: 200})
	return m.fonts.Cut(doc, theme.TextSecondary, width, 2)
}

// metaOf is the line with the time.
func (m *measurer) metaOf(r *Row) []metaPart {
	msg := r.Message
	var parts []metaPart
	icon := func(name string) { parts = append(parts, metaPart{icon: name, width: iconSize}) }
	words := func(s string) { parts = append(parts, metaPart{text: s, width: m.words(s)}) }
	if msg.Starred {
		icon("star")
	}
	if msg.Pinned {
		icon("pin")
	}
	if msg.disappears() {
		icon("timer")
		words(m.left(msg) + " ·")
	}
	if msg.Forwarded && !msg.Deleted {
		icon("forward")
	}
	if msg.Edited && !msg.Deleted {
		words(m.lang.T("edited"))
	}
	words(m.stamp(msg.Time))
	if msg.Mine && !msg.Deleted {
		switch msg.State {
		case Waiting:
			icon("clock")
		case Kept:
			icon("cube")
		case Delivered:
			icon("tick")
		case Read:
			icon("ticks")
		case Failed:
			icon("alert")
		}
		if r.Words && msg.Words != "" {
			words(fit(text.OneLine(msg.Words), min(320, m.room()-90), m.words))
		}
	}
	return parts
}

// fit shortens words of ours that are too wide.
func fit(s string, width float32, measure func(string) float32) string {
	if measure(s) <= width {
		return s
	}
	words := strings.Fields(s)
	for len(words) > 1 {
		words = words[:len(words)-1]
		if short := strings.Join(words, " ") + "…"; measure(short) <= width {
			return short
		}
	}
	return s
}

// chips puts the reactions under the bubble, in as many rows as they need.
func (m *measurer) chips(s *shape, msg *Message) {
	if len(msg.Reactions) == 0 || msg.Deleted {
		return
	}
	x, y := float32(8), float32(0)
	most := max(s.size.Width-16, min(m.room(), 260))
	for _, r := range msg.Reactions[:min(len(msg.Reactions), 40)] {
		c := chipShape{of: r, id: -1, width: chipEmoji + 16}
		if id, ok := m.fonts.Emoji().Lookup(r.Emoji); ok {
			c.id = id
		}
		if r.Count > 1 {
			c.width += m.words(strconv.Itoa(r.Count))*theme.TextCaption/theme.TextMeta + 5
		}
		if x+c.width > most && x > 8 {
			x, y = 8, y+chipHeight+2
		}
		c.at = fyne.NewPos(x, y+s.size.Height-chipOver)
		x += c.width + 4
		s.chips = append(s.chips, c)
	}
	// Those of messages at the right end at the right.
	shift := s.box.X
	if msg.Mine {
		end := float32(0)
		for _, c := range s.chips {
			end = max(end, c.at.X+c.width)
		}
		shift = s.box.X + s.size.Width - 8 - end
	}
	for i := range s.chips {
		s.chips[i].at.X += shift
	}
	s.height += y + chipHeight - chipOver
}

// estimate is about how high a row will be, for those that were never near.
func (m *measurer) estimate(r *Row) float32 {
	if r.Kind != RowBubble {
		return markHeight + r.Gap
	}
	n := min(len(r.Message.Text), 1500)
	perLine := m.room() / 7
	lines := 1 + float32(int(float32(n)/perLine)) + float32(min(20, strings.Count(r.Message.Text[:n], "\n")))
	h := lines*21 + 2*padY - 3 + r.Gap
	if r.Message.Reply != nil {
		h += 54
	}
	if r.Message.Kind == Card {
		h += 24 + 47*float32(min(1, len(r.Message.Actions)))
	}
	if len(r.Message.Reactions) > 0 {
		h += chipHeight - chipOver
	}
	return h
}
