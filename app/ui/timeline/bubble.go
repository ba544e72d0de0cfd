package timeline

import (
	"image"
	"image/color"
	"strconv"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/ui/emoji"
	"github.com/godwit-im/godwit/app/ui/text"
	"github.com/godwit-im/godwit/app/ui/theme"
	parts "github.com/godwit-im/godwit/app/ui/widget"
)

// item is a row as it is shown. It is used again for other rows: everything of the row
// before is set anew by show.
type item struct {
	widget.BaseWidget
	t     *Timeline
	key   string
	row   Row
	shape *shape

	body, author, name, excerpt *text.Block
	ground, quote, bar          *canvas.Rectangle
	ring                        *canvas.Rectangle // of the focus, or of what was jumped to
	mark                        *canvas.Circle    // of selecting messages
	tick                        *canvas.Image
	more                        *canvas.Text
	lines                       [2]*canvas.Rectangle // beside the words of the unread line
	meta                        []metaObjects
	chips                       []chipObjects
	buttons                     []*parts.Button

	current, lit, picking, picked bool
	found                         [][2]int // what is sought
	objects                       []fyne.CanvasObject
}

type metaObjects struct {
	icon *canvas.Image
	text *text.Block
}

type chipObjects struct {
	edge, fill *canvas.Rectangle
	picture    *canvas.Raster
	count      *canvas.Text
	id         emoji.ID
	plain      *text.Block
}

var _ fyne.Accessible = (*item)(nil)

func newItem(t *Timeline) *item {
	i := &item{t: t}
	f := t.cfg.Fonts
	i.body, i.author, i.name, i.excerpt = text.NewBlock(f), text.NewBlock(f), text.NewBlock(f), text.NewBlock(f)
	i.ground, i.quote, i.bar, i.ring = canvas.NewRectangle(nil), canvas.NewRectangle(nil), canvas.NewRectangle(nil), canvas.NewRectangle(nil)
	i.quote.CornerRadius, i.bar.CornerRadius = 6, quoteWidth/2
	i.mark = canvas.NewCircle(nil)
	i.tick = canvas.NewImageFromResource(nil)
	i.more = canvas.NewText("", nil)
	i.more.TextSize, i.more.TextStyle.Bold = theme.TextCaption, true
	for n := range i.lines {
		i.lines[n] = canvas.NewRectangle(nil)
	}
	i.ExtendBaseWidget(i)
	return i
}

// show makes the item that of a row.
func (i *item) show(r Row, s *shape) {
	i.key, i.row, i.shape = r.Key, r, s
	i.current, i.lit, i.picking, i.picked, i.found = false, false, false, false, nil
	if r.Kind == RowBubble {
		i.paintBubble()
	} else {
		i.paintMark()
	}
	i.arrange()
}

// paintMark is a day, the unread line or a notice.
func (i *item) paintMark() {
	s := i.shape
	ink, fill := theme.Color(theme.Dim), theme.Color(theme.BubbleIn)
	if i.row.Kind == RowUnread {
		ink, fill = theme.Color(theme.Accent), theme.Color(theme.Selected)
	}
	i.body.Set(s.body, text.Colours{Text: ink, Link: ink, Faint: ink}, s.width)
	i.body.Move(s.at)
	i.ground.FillColor = fill
	round(i.ground, s.size.Height/2, s.size.Height/2, s.size.Height/2, s.size.Height/2)
	put(i.ground, s.box, s.size)
}

func round(r *canvas.Rectangle, topLeft, topRight, bottomRight, bottomLeft float32) {
	r.TopLeftCornerRadius, r.TopRightCornerRadius, r.BottomRightCornerRadius, r.BottomLeftCornerRadius = topLeft, topRight, bottomRight, bottomLeft
	r.CornerRadius = min(topLeft, topRight, bottomRight, bottomLeft)
	r.Refresh()
}

func put(o fyne.CanvasObject, p fyne.Position, s fyne.Size) {
	o.Move(p)
	o.Resize(s)
}

func (i *item) paintBubble() {
	s, m := i.shape, i.row.Message
	ground, ink, meta, accent := theme.BubbleIn, theme.BubbleInText, theme.Dim, theme.Accent
	if m.Mine {
		ground, ink, meta = theme.BubbleOut, theme.BubbleOutText, theme.BubbleOutMeta
	}
	if s.big {
		meta = theme.Dim
	}
	i.ground.FillColor = theme.Color(ground)
	// Corners between joined bubbles are tighter, on the side of who writes.
	top, bottom := theme.RadiusBubble, theme.RadiusBubble
	if i.row.Above {
		top = theme.RadiusJoined
	}
	if i.row.Below {
		bottom = theme.RadiusJoined
	}
	if m.Mine {
		round(i.ground, theme.RadiusBubble, top, bottom, theme.RadiusBubble)
	} else {
		round(i.ground, top, theme.RadiusBubble, theme.RadiusBubble, bottom)
	}
	put(i.ground, s.box, s.size)

	colours := text.Colours{Text: theme.Color(ink), Link: theme.Color(accent), Faint: theme.Color(meta), Code: theme.Color(theme.Hover)}
	if m.Deleted {
		colours.Text = theme.Color(meta)
	}
	i.body.Set(s.body, colours, s.width)
	i.body.Move(s.at)
	named := text.Colours{Text: theme.Color(accent), Link: theme.Color(accent), Faint: theme.Color(accent)}
	if s.author != nil {
		i.author.Set(s.author, named, s.width)
		i.author.Move(s.box.AddXY(padX, padY))
	}
	if q := s.quote; q != nil {
		i.quote.FillColor = theme.Color(theme.Hover)
		i.quote.Refresh()
		put(i.quote, q.at, q.size)
		i.bar.FillColor = theme.Color(accent)
		i.bar.Refresh()
		put(i.bar, q.at.AddXY(6, 6), fyne.NewSize(quoteWidth, q.size.Height-12))
		i.name.Set(q.name, named, q.size.Width-24)
		i.name.Move(q.at.AddXY(16, 5))
		i.excerpt.Set(q.text, text.Colours{Text: theme.Color(meta), Link: theme.Color(meta), Faint: theme.Color(meta)}, q.size.Width-24)
		i.excerpt.Move(q.at.AddXY(16, 8+q.name.Height))
	}
	if s.more != "" {
		i.more.Text, i.more.Color = s.more, theme.Color(accent)
		i.more.Refresh()
		i.more.Move(s.moreAt)
		i.more.Resize(i.more.MinSize())
	}
	i.paintMeta(meta)
	i.paintChips()
	i.paintButtons()
}

// paintButtons makes the buttons of a card. There are few cards: they are not used again.
func (i *item) paintButtons() {
	i.buttons = nil
	for n, s := range i.shape.buttons {
		kind := parts.Plain
		if n == 0 {
			kind = parts.Primary
		}
		m := *i.row.Message
		b := parts.NewButton(s.name, kind, func() {
			if i.t.cfg.OnAction != nil {
				i.t.cfg.OnAction(m, n)
			}
		})
		if n > 0 {
			b.Paint(theme.Canvas, theme.Edge)
		}
		put(b, s.at, s.size)
		i.buttons = append(i.buttons, b)
	}
}

// paintMeta puts time and state on the baseline that the shape says.
func (i *item) paintMeta(ink fyne.ThemeColorName) {
	s := i.shape
	for len(i.meta) < len(s.meta) {
		m := metaObjects{icon: canvas.NewImageFromResource(nil), text: text.NewBlock(i.t.cfg.Fonts)}
		i.meta = append(i.meta, m)
	}
	x := s.metaAt.X
	for n, p := range s.meta {
		o := i.meta[n]
		if p.icon != "" {
			colour := ink
			if p.icon == "alert" {
				colour = theme.Danger
			}
			o.icon.Resource = i.t.icon(p.icon, colour)
			put(o.icon, fyne.NewPos(x, s.metaAt.Y-11), fyne.NewSquareSize(iconSize))
			o.icon.Refresh()
		} else {
			// Not a text of Fyne's: it keeps a picture of each for a minute, and there
			// are three thousand times of day in two colours.
			width := p.width + 2
			line := i.t.cfg.Fonts.Cut(text.Parse(p.text, text.Options{Plain: true}), theme.TextMeta, width, 1)
			o.text.Set(line, text.Colours{Text: theme.Color(ink)}, width)
			o.text.Move(fyne.NewPos(x, s.metaAt.Y-line.Rows[0].Baseline))
		}
		x += p.width + 4
	}
}

func (i *item) paintChips() {
	for len(i.chips) < len(i.shape.chips) {
		n := len(i.chips)
		c := chipObjects{edge: canvas.NewRectangle(nil), fill: canvas.NewRectangle(nil), count: canvas.NewText("", nil), plain: text.NewBlock(i.t.cfg.Fonts)}
		c.edge.CornerRadius, c.fill.CornerRadius = (chipHeight+4)/2, chipHeight/2
		c.count.TextSize = theme.TextCaption
		c.picture = canvas.NewRaster(func(w, h int) image.Image {
			if id := i.chips[n].id; id >= 0 && w > 0 {
				return i.t.cfg.Fonts.Emoji().Image(id, min(w, h))
			}
			return image.NewRGBA(image.Rect(0, 0, max(w, 1), max(h, 1)))
		})
		i.chips = append(i.chips, c)
	}
	for n, s := range i.shape.chips {
		c := &i.chips[n]
		c.id = s.id
		c.edge.FillColor = theme.Color(theme.Canvas)
		c.fill.FillColor, c.fill.StrokeColor, c.fill.StrokeWidth = theme.Color(theme.BubbleIn), theme.Color(theme.Line), 1
		c.count.Color, c.count.TextStyle.Bold = theme.Color(theme.Dim), s.of.Mine
		if s.of.Mine {
			c.fill.FillColor, c.fill.StrokeColor = theme.Color(theme.Selected), theme.Color(theme.Accent)
			c.count.Color = theme.Color(theme.Accent)
		}
		put(c.edge, s.at.SubtractXY(2, 2), fyne.NewSize(s.width+4, chipHeight+4))
		put(c.fill, s.at, fyne.NewSize(s.width, chipHeight))
		if s.id >= 0 {
			put(c.picture, s.at.AddXY(8, (chipHeight-chipEmoji-1)/2), fyne.NewSquareSize(chipEmoji+1))
		} else {
			doc := text.Parse(s.of.Emoji, text.Options{Plain: true, Runes: 4})
			c.plain.Set(i.t.cfg.Fonts.Cut(doc, theme.TextSecondary, chipEmoji+2, 1), text.Colours{Text: theme.Color(theme.Text)}, chipEmoji+2)
			c.plain.Move(s.at.AddXY(8, 4))
		}
		c.count.Text = ""
		if s.of.Count > 1 {
			c.count.Text = strconv.Itoa(s.of.Count)
		}
		h := i.t.countHeight
		put(c.count, s.at.AddXY(8+chipEmoji+5, (chipHeight-h)/2), fyne.NewSize(s.width, h))
		for _, o := range []fyne.CanvasObject{c.edge, c.fill, c.picture, c.count} {
			o.Refresh()
		}
	}
}

// arrange lists what is shown, from back to front.
func (i *item) arrange() {
	s := i.shape
	list := i.objects[:0]
	if i.lit || i.current {
		i.ring.CornerRadius = theme.RadiusBubble + 3
		i.ring.FillColor, i.ring.StrokeColor, i.ring.StrokeWidth = color.Transparent, color.Transparent, 0
		if i.lit {
			i.ring.FillColor = theme.Color(theme.Highlight)
		}
		if i.current {
			i.ring.StrokeColor, i.ring.StrokeWidth = theme.Color(theme.Focus), 2
		}
		put(i.ring, s.box.SubtractXY(4, 4), s.size.AddWidthHeight(8, 8))
		i.ring.Refresh()
		list = append(list, i.ring)
	}
	if i.row.Kind == RowUnread {
		y := s.size.Height / 2
		for n, l := range i.lines {
			l.FillColor = theme.Color(theme.Accent)
			x, w := float32(side), s.box.X-side-8
			if n == 1 {
				x = s.box.X + s.size.Width + 8
			}
			put(l, fyne.NewPos(x, y), fyne.NewSize(max(0, w), 1))
			l.Refresh()
			list = append(list, l)
		}
	}
	if !s.big {
		list = append(list, i.ground)
	}
	if s.author != nil {
		list = append(list, i.author.Objects()...)
	}
	if s.quote != nil {
		list = append(list, i.quote, i.bar)
		list = append(list, i.name.Objects()...)
		list = append(list, i.excerpt.Objects()...)
	}
	list = append(list, i.body.Objects()...)
	if s.more != "" {
		list = append(list, i.more)
	}
	for n, p := range s.meta {
		if p.icon != "" {
			list = append(list, i.meta[n].icon)
		} else {
			list = append(list, i.meta[n].text.Objects()...)
		}
	}
	for n := range s.chips {
		c := &i.chips[n]
		list = append(list, c.edge, c.fill)
		if c.id >= 0 {
			list = append(list, c.picture)
		} else {
			list = append(list, c.plain.Objects()...)
		}
		if c.count.Text != "" {
			list = append(list, c.count)
		}
	}
	for n := range s.buttons {
		list = append(list, i.buttons[n])
	}
	if i.picking && i.row.Kind == RowBubble {
		i.mark.StrokeWidth, i.mark.StrokeColor, i.mark.FillColor = 1.5, theme.Color(theme.Edge), color.Transparent
		at := fyne.NewPos(side-4, (s.size.Height-20)/2)
		put(i.mark, at, fyne.NewSquareSize(20))
		if i.picked {
			i.mark.FillColor, i.mark.StrokeColor = theme.Color(theme.Accent), theme.Color(theme.Accent)
		}
		i.mark.Refresh()
		list = append(list, i.mark)
		if i.picked {
			i.tick.Resource = i.t.icon("tick", theme.OnAccent)
			put(i.tick, at.AddXY(3, 3), fyne.NewSquareSize(14))
			i.tick.Refresh()
			list = append(list, i.tick)
		}
	}
	i.objects = list
}

// CreateRenderer implements fyne.Widget.
func (i *item) CreateRenderer() fyne.WidgetRenderer { return (*itemRenderer)(i) }

type itemRenderer item

func (r *itemRenderer) Layout(fyne.Size)             {}
func (r *itemRenderer) MinSize() fyne.Size           { return fyne.NewSize(0, 0) }
func (r *itemRenderer) Objects() []fyne.CanvasObject { return r.objects }
func (r *itemRenderer) Destroy()                     {}
func (r *itemRenderer) Refresh()                     {}

// AccessibilityRole implements fyne.Accessible.
func (i *item) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleText }

// AccessibilityLabel says the row as it would be read to somebody.
func (i *item) AccessibilityLabel() string { return i.t.spoken(&i.row) }

// spoken is a row in words: who, what, when, how far.
func (t *Timeline) spoken(r *Row) string {
	if r.Kind != RowBubble {
		return r.Label
	}
	m, l := r.Message, t.cfg.Lang
	who := m.Author
	if m.Mine {
		who = l.T("You")
	}
	said := text.OneLine(m.Text)
	if m.Title != "" {
		who, said = text.OneLine(m.Title), strings.Join(append([]string{said}, m.Actions...), ", ")
	}
	if m.Deleted {
		said = l.T("This message was deleted.")
	}
	parts := []string{who + ": " + said}
	if m.Reply != nil && !m.Deleted {
		parts = append(parts, l.T("in answer to {name}", "name", m.Reply.Name))
	}
	parts = append(parts, t.measure.stamp(m.Time))
	if m.Edited && !m.Deleted {
		parts = append(parts, l.T("edited"))
	}
	if m.Mine && !m.Deleted {
		switch {
		case m.Words != "":
			parts = append(parts, m.Words)
		case m.State == Waiting:
			parts = append(parts, l.T("waiting on this device"))
		case m.State == Kept:
			parts = append(parts, l.T("kept at relays"))
		case m.State == Delivered:
			parts = append(parts, l.T("delivered"))
		case m.State == Read:
			parts = append(parts, l.T("read"))
		case m.State == Failed:
			parts = append(parts, l.T("not delivered"))
		}
	}
	if m.disappears() {
		if time := t.measure.left(m); m.Disappears.IsZero() {
			parts = append(parts, l.T("disappears after it was read, in {time}", "time", time))
		} else {
			parts = append(parts, l.T("disappears in {time}", "time", time))
		}
	}
	for _, r := range m.Reactions {
		parts = append(parts, r.Emoji+" "+r.Who)
	}
	return strings.Join(parts, ", ")
}
