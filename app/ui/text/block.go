package text

import (
	"image"
	"image/color"
	"math"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/theme"
)

// overhang is how far, in px, letters may reach beyond the start and end of a row.
const overhang = 2

// step is what the pictures of rows are multiples of, in px: at every scale in steps of
// 5 % they are whole pixels of the screen then, and are not stretched to fit.
const step = 20

func stepped(v float32) float32 { return step * float32(math.Ceil(float64(v)/step)) }

// Block is a Layout as canvas objects: a picture for each row, boxes behind what is
// selected or found. It handles no events; it is part of a widget, which places it with
// Move and shows Objects. It can be given one Layout after the other.
type Block struct {
	fonts   *Fonts
	layout  *Layout
	colours Colours
	pos     fyne.Position
	width   float32

	start, end int      // selected, if end > start
	marks      [][2]int // found

	rows    []*rowImage
	boxes   []*canvas.Rectangle
	bars    []*canvas.Rectangle
	objects []fyne.CanvasObject
}

// rowImage draws a row. It keeps the picture, because Fyne asks for it again when it
// has let go of a texture.
type rowImage struct {
	raster *canvas.Raster
	block  *Block
	row    int
	img    *image.RGBA // nil: to be drawn
}

// NewBlock is an empty Block.
func NewBlock(f *Fonts) *Block { return &Block{fonts: f} }

// Set shows a Layout, with nothing selected, in a box of a width: rows that run from
// right to left begin at its right. The colours are looked up anew each time.
func (b *Block) Set(l *Layout, c Colours, width float32) {
	b.layout, b.colours, b.width = l, c, width
	b.start, b.end, b.marks = 0, 0, nil
	l.align(width)
	for len(b.rows) < len(l.Rows) {
		r := &rowImage{block: b, row: len(b.rows)}
		r.raster = canvas.NewRaster(r.draw)
		r.raster.ScaleMode = canvas.ImageScalePixels // it is drawn at the size it is shown in
		b.rows = append(b.rows, r)
	}
	for i := range l.Rows {
		row := &l.Rows[i]
		r := b.rows[i].raster
		r.Resize(fyne.NewSize(stepped(row.Width+2*overhang), stepped(row.Height)))
	}
	b.place()
	for i, r := range b.rows {
		r.img = nil
		if i < len(l.Rows) {
			r.raster.Refresh()
		}
	}
}

// Layout is what the Block shows.
func (b *Block) Layout() *Layout { return b.layout }

// Move places the Block in its widget.
func (b *Block) Move(p fyne.Position) {
	if p != b.pos {
		b.pos = p
		if b.layout != nil {
			b.place()
		}
	}
}

// Position is where the Block is in its widget.
func (b *Block) Position() fyne.Position { return b.pos }

// Objects are what is to be shown, from the back to the front. They change with Set
// and Select.
func (b *Block) Objects() []fyne.CanvasObject { return b.objects }

// Select marks the runes from start to end.
func (b *Block) Select(start, end int) (changed bool) {
	if start >= end {
		start, end = 0, 0
	}
	if start == b.start && end == b.end {
		return false
	}
	b.start, b.end = start, end
	b.place()
	return true
}

// Selected is the selected runes.
func (b *Block) Selected() (start, end int) { return b.start, b.end }

// Mark shows runes as found.
func (b *Block) Mark(ranges [][2]int) {
	b.marks = ranges
	b.place()
}

// Text is a part of what is shown, as it is copied.
func (l *Layout) Text(start, end int) string {
	start, end = max(0, start), min(end, len(l.Doc.Runes))
	if start >= end {
		return ""
	}
	return string(l.Doc.Runes[start:end])
}

// place puts everything where it belongs.
func (b *Block) place() {
	b.objects = b.objects[:0]
	n := 0
	box := func(from, to int, c color.Color) {
		for _, r := range b.layout.Rects(from, to) {
			if n == len(b.boxes) {
				b.boxes = append(b.boxes, canvas.NewRectangle(c))
				b.boxes[n].CornerRadius = theme.Size(theme.SizeNameSelectionRadius)
			}
			rect := b.boxes[n]
			n++
			rect.FillColor = c
			rect.Move(b.pos.AddXY(r.X, r.Y-1))
			rect.Resize(fyne.NewSize(r.Width, r.Height+2))
			b.objects = append(b.objects, rect)
		}
	}
	sel := theme.Color(theme.ColorNameSelection)
	for _, m := range b.marks {
		box(m[0], m[1], sel)
	}
	if b.end > b.start {
		box(b.start, b.end, sel)
	}
	b.quotes()
	for i := range b.layout.Rows {
		row := &b.layout.Rows[i]
		r := b.rows[i].raster
		r.Move(b.pos.AddXY(row.X-overhang, row.Y))
		b.objects = append(b.objects, r)
	}
}

// quotes puts a bar beside quoted rows.
func (b *Block) quotes() {
	n := 0
	for i := 0; i < len(b.layout.Rows); i++ {
		if !b.layout.Rows[i].Quote {
			continue
		}
		first := &b.layout.Rows[i]
		for i+1 < len(b.layout.Rows) && b.layout.Rows[i+1].Quote && b.layout.Rows[i+1].RTL == first.RTL {
			i++
		}
		last := &b.layout.Rows[i]
		if n == len(b.bars) {
			bar := canvas.NewRectangle(b.colours.Faint)
			bar.CornerRadius = quoteBar / 2
			b.bars = append(b.bars, bar)
		}
		bar := b.bars[n]
		n++
		bar.FillColor = b.colours.Faint
		x := float32(0)
		if first.RTL {
			x = b.width - quoteBar
		}
		bar.Move(b.pos.AddXY(x, first.Y))
		bar.Resize(fyne.NewSize(quoteBar, last.Y+last.Height-first.Y))
		b.objects = append(b.objects, bar)
	}
}

// draw draws the row at the size that the window's scale asks for.
func (r *rowImage) draw(w, h int) image.Image {
	if r.img != nil && r.img.Rect.Dx() == w && r.img.Rect.Dy() == h {
		return r.img
	}
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	l := r.block.layout
	if l == nil || r.row >= len(l.Rows) || w < 1 || h < 1 {
		return img
	}
	scale := float32(w) / r.raster.Size().Width // the longer side tells best
	r.block.fonts.Draw(img, l, r.row, r.block.colours, scale, overhang)
	r.img = img
	return img
}
