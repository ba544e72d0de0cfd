package chats

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynewidget "fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// ListActions is what the list calls back for.
type ListActions struct {
	Open    func(id, message string)                   // message is empty, or one that was found
	New     func()                                     // the button with the plus
	Menu    func(id, message string, at fyne.Position) // what can be done with a row
	Search  func(query string)                         // with every change of the field
	Filter  func(Filter)                               // a chip was pressed
	Network func()                                     // the status line was pressed
	Key     func(down bool) bool                       // Up and Down in the search field
	Enter   func()                                     // Enter in the search field
	Escape  func()                                     // Escape there
}

// List is the list of conversations: a header, the search field, chips, the rows and the
// status line. Its methods belong to the window's thread.
type List struct {
	fynewidget.BaseWidget
	l      *lang.Lang
	do     ListActions
	rows   []Row
	views  map[int]*rowView // that show rows, by where; and perhaps some that did
	all    *fyne.Container
	Search *widget.Field
	list   *fynewidget.List
	chips  [3]*widget.Chip
	star   *widget.Chip
	empty  *widget.Para
	offer  *fyne.Container
	foot   *widget.Press
	icon   *widget.Icon
	dot    *widget.Fill
	status *widget.Text
	line   *fyne.Container // of the chips
	heads  []int           // where words stand between rows
}

// NewList is a list without rows.
func NewList(l *lang.Lang, do ListActions) *List {
	v := &List{l: l, do: do, views: map[int]*rowView{}, offer: widget.Stack(), Search: widget.NewField(l.T("Search"))}
	v.Search.OnChanged = do.Search
	v.Search.Arrow = do.Key
	v.Search.Enter = func(bool) { do.Enter() }
	v.Search.Escape = do.Escape
	v.list = fynewidget.NewList(func() int { return len(v.rows) },
		func() fyne.CanvasObject { return newRowView(v) },
		func(i fynewidget.ListItemID, o fyne.CanvasObject) {
			if i < len(v.rows) {
				o.(*rowView).show(i)
			}
		})
	v.list.HideSeparators = true
	for i, text := range []string{l.T("All"), l.T("Unread"), l.T("Archived")} {
		v.chips[i] = widget.NewChip(text, func() { do.Filter(Filter(i)) })
	}
	v.star = widget.NewIconChip("star", l.T("Starred messages"), func() { do.Filter(Starred) })
	v.empty = widget.NewPara("", theme.TextSecondary, theme.Dim).Centred()
	v.empty.Hide()

	v.icon, v.dot = widget.NewIcon("clock", 14, theme.Dim), widget.NewFill(theme.OK, 4)
	v.status = widget.NewText("", theme.TextCaption, theme.Dim).Shrink()
	mark := widget.Exactly(14, 14, widget.Stack(widget.Inset(3, 3, 3, 3, v.dot), v.icon))
	v.foot = widget.NewPress(l.T("Network"), widget.Inset(theme.Space5, 0, theme.Space5, 0, widget.Row(theme.Space3, mark, v.status)), do.Network)
	v.foot.Shape("", "", 0, fyne.NewSize(0, 36))

	head := widget.Inset(theme.Space5+2, 0, theme.Space4, 0, widget.AtLeast(0, theme.HeaderHeight+4,
		widget.Ends(widget.NewText(l.T("Chats"), theme.TextSection, theme.Text).Bold(), widget.NewRoundButton("plus", l.T("New chat"), 36, do.New))))
	search := widget.Inset(theme.Space5, 0, theme.Space5, theme.Space3, v.Search)
	v.line = widget.Row(theme.Space3, v.chips[0], v.chips[1], v.chips[2], v.star)
	chips := widget.Inset(theme.Space5, 0, theme.Space5, theme.Space3, container.NewHScroll(v.line))
	rows := widget.Stack(widget.Inset(theme.Space3, 0, theme.Space3, 0, v.list), widget.Inset(theme.Space6, theme.Space6, theme.Space6, 0, widget.ColumnTop(theme.ListMax, v.empty)))
	v.Chips(All, 0, 0, false)
	v.all = widget.Edge(widget.Col(0, head, search, chips), widget.Col(0, v.offer, widget.Rule(false), v.foot), nil, nil, rows)
	v.ExtendBaseWidget(v)
	return v
}

// CreateRenderer implements fyne.Widget.
func (v *List) CreateRenderer() fyne.WidgetRenderer { return fynewidget.NewSimpleRenderer(v.all) }

// manyViews are more than any window shows.
const manyViews = 100

// Set shows rows; without any it says why. Where they stand as before, only those that are
// others now are drawn anew.
func (v *List) Set(rows []Row, why string) {
	v.empty.Set(why)
	if len(rows) > 0 {
		v.empty.Hide()
	} else {
		v.empty.Show()
	}
	stand := len(rows) == len(v.rows) && len(v.views) < manyViews
	for i := 0; stand && i < len(rows); i++ {
		stand = (rows[i].Head == "") == (v.rows[i].Head == "")
	}
	v.rows = rows
	if stand {
		for i, view := range v.views {
			if i < len(rows) {
				view.set(rows[i])
			}
		}
		return
	}
	clear(v.views)
	for _, i := range v.heads {
		v.list.SetItemHeight(i, theme.RowHeight)
	}
	v.heads = v.heads[:0]
	for i, r := range rows {
		if r.Head != "" {
			v.heads = append(v.heads, i)
			v.list.SetItemHeight(i, headHeight)
		}
	}
	v.list.Refresh()
}

// headHeight is the height of words between rows.
const headHeight float32 = 30

// Chips shows which filter holds, and how much the others have.
func (v *List) Chips(on Filter, unread, archived int, starred bool) {
	for i, c := range v.chips {
		c.Select(Filter(i) == on)
	}
	v.chips[1].Set(v.l.T("Unread"))
	if unread > 0 {
		v.chips[1].Set(v.l.T("Unread {n}", "n", unread))
	}
	if archived > 0 || on == Archived {
		v.chips[2].Show()
	} else {
		v.chips[2].Hide()
	}
	v.star.Select(on == Starred)
	v.star.Hidden = !starred && on != Starred
	widget.Arrange(v.line)
}

// Offer shows a card below the rows; nil takes it away.
func (v *List) Offer(card fyne.CanvasObject) {
	v.offer.Objects = nil
	if card != nil {
		v.offer.Objects = []fyne.CanvasObject{widget.Inset(theme.Space4, theme.Space3, theme.Space4, theme.Space4, card)}
	}
	widget.Arrange(v.all)
}

// Foot shows the status line.
func (v *List) Foot(f Foot) {
	v.icon.Hidden, v.dot.Hidden = f.Icon == "", f.Icon != ""
	v.icon.Set(f.Icon, theme.Warn)
	if f.Good {
		v.dot.Paint(theme.OK, "")
	}
	v.status.Set(f.Text)
	v.foot.Name(f.Text)
	widget.Arrange(v.foot)
}

// ScrollTo brings a row into sight.
func (v *List) ScrollTo(row int) { v.list.ScrollTo(row) }

// rowView is one line of the list.
type rowView struct {
	fynewidget.BaseWidget
	list   *List
	at     int // of List.rows
	row    Row
	inks   string // the colours that it is painted in
	press  *widget.Press
	avatar *widget.Avatar
	name   *widget.Text
	check  *widget.Icon
	pin    *widget.Icon
	mute   *widget.Icon
	when   *widget.Text
	glyph  *widget.Icon
	said   *widget.Text
	badge  *widget.Badge
	head   *widget.Text
}

func newRowView(list *List) *rowView {
	v := &rowView{
		list: list, avatar: widget.NewAvatar("", "", 42), name: widget.NewText("", theme.TextBody, theme.Text).Bold().Shrink(),
		check: widget.NewIcon("verified", 15, theme.Accent), pin: widget.NewIcon("pin", 13, theme.Faint), mute: widget.NewIcon("mute", 13, theme.Faint),
		when: widget.NewText("", theme.TextCaption, theme.Dim), glyph: widget.NewIcon("", 14, theme.Dim),
		said: widget.NewText("", theme.TextSecondary, theme.Dim).Shrink(), badge: widget.NewBadge(),
		head: widget.NewText("", theme.TextCaption, theme.Dim).Bold(),
	}
	first := widget.Ends(widget.Inset(0, 0, theme.Space3, 0, widget.Row(theme.Space2, v.name, v.check, v.mute)), v.when)
	second := widget.Ends(widget.Inset(0, 0, theme.Space3, 0, widget.Row(theme.Space2+1, v.glyph, v.said)), widget.Row(theme.Space2, v.pin, v.badge))
	lines := widget.Col(theme.Space1+1, widget.AtLeast(0, 20, first), widget.AtLeast(0, 18, second))
	content := widget.Edge(nil, nil, widget.Inset(theme.Space3+2, 0, theme.Space4, 0, v.avatar), nil, widget.Inset(0, 10, theme.Space3+2, 0, lines))
	v.press = widget.NewPress("", content, func() { v.list.do.Open(v.row.ID, v.row.Message) })
	v.press.Shape("", "", theme.RadiusCard, fyne.NewSize(0, theme.RowHeight))
	v.press.OnSecondary(func(at fyne.Position) { v.list.do.Menu(v.row.ID, v.row.Message, at) })
	v.ExtendBaseWidget(v)
	return v
}

func (v *rowView) CreateRenderer() fyne.WidgetRenderer {
	return fynewidget.NewSimpleRenderer(widget.Stack(v.press, widget.Inset(theme.Space3+2, 0, 0, 0, v.head)))
}

// show shows the row at a place of the list, and whatever is there from now on.
func (v *rowView) show(at int) {
	if v.list.views[v.at] == v {
		delete(v.list.views, v.at)
	}
	v.at = at
	v.list.views[at] = v
	v.set(v.list.rows[at])
}

func (v *rowView) set(r Row) {
	if inks := theme.Inks(); inks != v.inks { // it was out of the window while they changed
		v.inks = inks
		v.press.Paint("", "")
		for _, o := range []fyne.CanvasObject{v.head, v.avatar, v.name, v.check, v.pin, v.mute, v.when, v.glyph, v.said, v.badge} {
			o.Refresh()
		}
	} else if r == v.row {
		return
	}
	v.row = r
	v.head.Set(r.Head)
	v.head.Hidden, v.press.Hidden = r.Head == "", r.Head != ""
	v.avatar.Set(r.ID, r.Name, r.Icon)
	v.name.Set(r.Name)
	v.check.Hidden, v.mute.Hidden, v.pin.Hidden = !r.Verified, !r.Muted, !r.Pinned || r.Unread > 0
	v.when.Set(r.When)
	v.glyph.Hidden = r.Glyph == ""
	v.glyph.Set(r.Glyph, theme.Dim)
	v.said.Set(r.Said)
	switch {
	case r.Draft:
		v.said.Paint(theme.Danger)
	case r.Lively:
		v.said.Paint(theme.Accent)
	default:
		v.said.Paint(theme.Dim)
	}
	v.badge.Set(r.Unread, r.Muted)
	if r.Selected {
		v.press.Paint(theme.Selected, "")
	} else {
		v.press.Paint("", "")
	}
	v.press.Name(r.Name + ", " + r.Said)
	widget.Arrange(v.press)
}
