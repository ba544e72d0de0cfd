package settings

import (
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynewidget "fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// View is the settings on the screen. Its methods belong to the window's thread.
type View struct {
	fynewidget.BaseWidget
	l      *lang.Lang
	pages  func() []Page
	at     string // the page that is shown
	query  string
	search *widget.Field
	tabs   *fyne.Container
	column *fyne.Container
	scroll *container.Scroll
	all    fyne.CanvasObject
	rows   []*row
	shape  []string // what the rows are made of
}

// readWidth is how wide the column gets, in px.
const readWidth = 640

// NewView shows what pages tells, which is asked again after each change.
func NewView(l *lang.Lang, pages func() []Page) *View {
	v := &View{l: l, pages: pages, search: widget.NewField(l.T("Search settings")), tabs: container.New(&wrap{gap: theme.Space3}), column: widget.Col(0)}
	v.search.OnChanged = func(q string) { v.query = q; v.Update() }
	v.search.Escape = func() { v.search.SetText("") }
	head := widget.Col(theme.Space4,
		widget.AtLeast(0, theme.HeaderHeight-theme.Space4, widget.NewText(l.T("Settings"), theme.TextSection, theme.Text).Bold()),
		widget.Roomy(v.search), v.tabs)
	v.scroll = container.NewVScroll(widget.Inset(theme.Space6, theme.Space5, theme.Space6, theme.Space6, widget.ColumnTop(readWidth, v.column)))
	v.all = widget.Edge(widget.Inset(theme.Space6, theme.Space3, theme.Space6, theme.Space4, widget.ColumnTop(readWidth, head)), nil, nil, nil, v.scroll)
	v.ExtendBaseWidget(v)
	v.Update()
	return v
}

// CreateRenderer implements fyne.Widget.
func (v *View) CreateRenderer() fyne.WidgetRenderer { return fynewidget.NewSimpleRenderer(v.all) }

// Search is the field that finds settings.
func (v *View) Search() *widget.Field { return v.search }

// Open shows a page.
func (v *View) Open(page string) {
	v.at = page
	v.search.SetText("")
	v.Update()
	v.scroll.ScrollToTop()
}

// Update shows what is set now. What stays as it is, and what has the focus, is not made anew.
func (v *View) Update() {
	all := v.pages()
	shown := Find(all, v.query)
	if v.query == "" {
		i := max(0, slices.IndexFunc(all, func(p Page) bool { return p.ID == v.at }))
		if len(all) > 0 {
			v.at, shown = all[i].ID, all[i:i+1]
		}
	}
	v.showTabs(all)
	var shape []string
	for _, p := range shown {
		shape = append(shape, "page "+p.ID)
		for _, i := range p.Items {
			shape = append(shape, i.ID+" "+i.kind())
		}
	}
	if !slices.Equal(shape, v.shape) {
		v.shape, v.rows, v.column.Objects = shape, nil, nil
		for n, p := range shown {
			if v.query != "" {
				v.column.Add(widget.Inset(0, theme.Space5, 0, 0, widget.NewText(p.Name, theme.TextTitle, theme.Text).Bold()))
			}
			for k, i := range p.Items {
				r := newRow(v, i)
				v.rows = append(v.rows, r)
				if k > 0 || n > 0 && v.query == "" {
					v.column.Add(widget.Rule(false))
				}
				v.column.Add(r.box)
			}
		}
		if len(shown) == 0 {
			v.column.Add(widget.NewPara(v.l.T("No setting is called so."), theme.TextBody, theme.Dim))
		}
		v.column.Refresh()
	}
	n := 0
	for _, p := range shown {
		for _, i := range p.Items {
			v.rows[n].set(i)
			n++
		}
	}
}

// showTabs shows the pages to choose from.
func (v *View) showTabs(all []Page) {
	for len(v.tabs.Objects) < len(all) {
		n := len(v.tabs.Objects)
		v.tabs.Add(widget.NewChip("", func() {
			if now := v.pages(); n < len(now) {
				v.Open(now[n].ID)
			}
		}))
	}
	v.tabs.Objects = v.tabs.Objects[:len(all)]
	for i, p := range all {
		chip := v.tabs.Objects[i].(*widget.Chip)
		chip.Set(p.Name)
		chip.Select(v.query == "" && p.ID == v.at)
	}
	v.tabs.Refresh()
}

// row is an item on the screen.
type row struct {
	v      *View
	item   Item
	name   *widget.Text
	help   *widget.Para
	dot    *changedDot
	toggle *toggle
	chips  []*widget.Chip
	choice *fyne.Container // of chips
	value  *widget.Text
	less   *widget.Press
	more   *widget.Press
	box    fyne.CanvasObject
}

func newRow(v *View, i Item) *row {
	r := &row{v: v, item: i, name: widget.NewText(i.Name, theme.TextBody, theme.Text).Bold(), help: widget.NewPara(i.Help, theme.TextSecondary, theme.Dim), dot: newChangedDot(v.l.T("Changed from the usual"))}
	head := widget.Row(theme.Space3, r.name, r.dot)
	words := widget.Col(theme.Space2, head, r.help)
	pad := func(o fyne.CanvasObject) fyne.CanvasObject { return widget.Inset(0, theme.Space4, 0, theme.Space4, o) }
	switch {
	case i.Switch != nil:
		r.toggle = newToggle(i.Name, v.l, func(on bool) { r.item.Switch.Set(on); v.Update() })
		r.box = pad(widget.Edge(nil, nil, nil, widget.Inset(theme.Space5, 0, 0, 0, widget.ColumnTop(toggleWidth, r.toggle.press)), words))
	case i.Choice != nil:
		chips := container.New(&wrap{gap: theme.Space3})
		for n, name := range i.Choice.Names {
			chip := widget.NewChip(name, func() { r.item.Choice.Set(n); v.Update() })
			r.chips = append(r.chips, chip)
			chips.Add(chip)
		}
		r.choice = chips
		r.box = pad(widget.Col(theme.Space4, words, chips))
	case i.Number != nil:
		r.value = widget.NewText("", theme.TextBody, theme.Text).Centred()
		r.less = step("−", v.l.T("Less: {name}", "name", i.Name), func() { r.by(-1) })
		r.more = step("+", v.l.T("More: {name}", "name", i.Name), func() { r.by(1) })
		r.box = pad(widget.Edge(nil, nil, nil, widget.Inset(theme.Space5, 0, 0, 0, widget.Row(theme.Space3, r.less, widget.AtLeast(56, 0, r.value), r.more)), words))
	case i.Do != nil:
		kind := widget.Plain
		if i.Do.Danger {
			kind = widget.Danger
		}
		button := widget.NewButton(i.Do.Text, kind, func() { r.item.Do.Run(); v.Update() })
		r.box = pad(widget.Col(theme.Space4, words, widget.Row(0, button)))
	default:
		r.box = pad(words)
	}
	return r
}

// by takes a number steps further.
func (r *row) by(steps int) {
	n := r.item.Number
	if to := n.Value + steps*n.Step; to >= n.Min && to <= n.Max {
		n.Set(to)
		r.v.Update()
	}
}

// set shows an item of the same shape.
func (r *row) set(i Item) {
	r.item = i
	r.name.Set(i.Name)
	r.help.Set(i.Help)
	r.dot.show(i.Changed())
	switch {
	case i.Switch != nil:
		r.toggle.set(i.Switch.On)
	case i.Choice != nil:
		for n, c := range r.chips {
			c.Select(n == i.Choice.At)
		}
		r.choice.Refresh() // the one that is chosen is bold, and wider
	case i.Number != nil:
		r.value.Set(i.Number.Text(i.Number.Value))
		for _, b := range []struct {
			press *widget.Press
			ends  bool
		}{{r.less, i.Number.Value <= i.Number.Min}, {r.more, i.Number.Value >= i.Number.Max}} {
			if b.ends {
				b.press.Disable()
			} else {
				b.press.Enable()
			}
		}
	}
}

// step is a button of a number.
func step(sign, name string, tap func()) *widget.Press {
	return widget.NewPress(name, widget.NewText(sign, theme.TextTitle, theme.Text).Centred(), tap).
		Shape(theme.BubbleIn, "", theme.RadiusField, fyne.NewSquareSize(36))
}
