package shell

import (
	"fyne.io/fyne/v2"
	fynewidget "fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// Section is a part of the window that the rail leads to.
type Section string

// The sections there are. What does not exist yet is not shown.
const (
	Chats    Section = "chats"
	Requests Section = "requests"
	Network  Section = "network"
	Settings Section = "settings"
)

// Item is a section on the rail.
type Item struct {
	Section Section
	Icon    string
	Name    string
	Foot    bool // at the bottom
}

// Rail is the sections beside each other at the window's edge, under the picture of
// oneself.
type Rail struct {
	fynewidget.BaseWidget
	all   fyne.CanvasObject
	me    *widget.Avatar
	items map[Section]*railItem
}

type railItem struct {
	press *widget.Press
	icon  *widget.Icon
	text  *widget.Text
	badge *widget.Badge
	item  Item
}

// side is the room beside the items: little, for their names are long in some languages.
const side = theme.Space2

// NewRail is a rail with items. Menu is called when the picture of oneself is pressed,
// with where to show the menu.
func NewRail(menuName string, items []Item, open func(Section), menu func(at fyne.Position)) *Rail {
	r := &Rail{me: widget.NewAvatar("", "", 36), items: map[Section]*railItem{}}
	top, foot := widget.Col(theme.Space2), widget.Col(theme.Space2)
	for _, i := range items {
		v := &railItem{icon: widget.NewIcon(i.Icon, 21, theme.Dim), text: widget.NewText(i.Name, theme.TextMeta, theme.Dim).Centred().Shrink(), badge: widget.NewBadge(), item: i}
		picture := widget.Stack(widget.Exactly(0, 24, v.icon), widget.Inset(38, 0, 4, 8, widget.Row(0, v.badge)))
		v.press = widget.NewPress(i.Name, widget.Col(1, picture, v.text), func() { open(i.Section) })
		v.press.Shape("", "", theme.RadiusCard, fyne.NewSize(theme.RailWidth-2*side, 52))
		r.items[i.Section] = v
		if i.Foot {
			foot.Add(v.press)
		} else {
			top.Add(v.press)
		}
	}
	var me *widget.Press
	me = widget.NewPress(menuName, r.me, func() {
		menu(fyne.CurrentApp().Driver().AbsolutePositionForObject(me).AddXY(theme.Space3, me.Size().Height+theme.Space2))
	})
	me.Shape("", "", 24, fyne.NewSize(44, 44))
	head := widget.Inset(14, theme.Space3+2, 14, theme.Space4, me)
	r.all = widget.Edge(widget.Col(0, head, widget.Inset(side, 0, side, 0, top)), widget.Inset(side, 0, side, theme.Space4, foot), nil, nil, widget.Gap(theme.RailWidth, 0))
	r.ExtendBaseWidget(r)
	return r
}

// CreateRenderer implements fyne.Widget.
func (r *Rail) CreateRenderer() fyne.WidgetRenderer { return fynewidget.NewSimpleRenderer(r.all) }

// Me shows whose window it is.
func (r *Rail) Me(id, name string) { r.me.Set(id, name, "") }

// Select shows which section is open: by ground, colour and weight.
func (r *Rail) Select(s Section) {
	for name, v := range r.items {
		on := name == s
		fill, colour := fyne.ThemeColorName(""), theme.Dim
		if on {
			fill, colour = theme.Selected, theme.Accent
		}
		v.press.Paint(fill, "")
		v.icon.Set(v.item.Icon, colour)
		v.text.Paint(colour)
	}
}

// Badge shows a number at a section.
func (r *Rail) Badge(s Section, n int) {
	if v := r.items[s]; v != nil {
		v.badge.Set(n, false)
		widget.Arrange(v.press)
	}
}

// Reveal shows or hides a section.
func (r *Rail) Reveal(s Section, shown bool) {
	if v := r.items[s]; v != nil && v.press.Visible() != shown {
		if shown {
			v.press.Show()
		} else {
			v.press.Hide()
		}
		widget.Arrange(r.all)
	}
}
