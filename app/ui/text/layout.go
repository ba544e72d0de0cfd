package text

import (
	"math"
	"slices"

	"github.com/go-text/typesetting/di"
	"github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/shaping"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/unicode/bidi"

	"github.com/godwit-im/godwit/app/ui/emoji"
)

// Measures, in px at scale 1 unless they say otherwise.
const (
	spacing    = 3    // between two lines
	bigEmoji   = 40   // of one to three emoji alone
	emojiScale = 1.22 // of the text's size
	quoteInset = 10   // of quoted lines, which have a bar there
	quoteBar   = 3
)

// run is a stretch of a line in one direction, font and style, ready to be drawn.
type run struct {
	out   shaping.Output
	x     float32 // from the left of the text
	span  int     // of the Doc
	rtl   bool
	emoji emoji.ID // -1: text
	side  float32  // of the emoji
}

// Row is a line as it is laid out.
type Row struct {
	Start, End    int // runes of the Doc; the line feed belongs to no row
	X, Y          float32
	Width, Height float32
	Baseline      float32 // from Y
	Quote, RTL    bool

	runs []run
}

// Layout is a Doc broken into rows.
type Layout struct {
	Doc  *Doc
	Rows []Row
	// Width is that of the widest row, Height of all.
	Width, Height float32
	Size          float32 // of the type
}

// Layout breaks a Doc into rows of at most width px.
//
// Shaping is the work of others' code on text and fonts of others: what it cannot cope
// with is laid out without its foreign characters. A message must not be able to end
// the program, and again each time its conversation is opened.
func (f *Fonts) Layout(d *Doc, size, width float32) (l *Layout) {
	defer func() {
		if recover() != nil {
			f.shaper, f.segmenter, f.wrapper = shaping.HarfbuzzShaper{}, shaping.Segmenter{}, shaping.LineWrapper{}
			l = f.layout(d.plainest(), size, width)
		}
	}()
	return f.layout(d, size, width)
}

// plainest is the text in letters that every font has, each rune in its place.
func (d *Doc) plainest() *Doc {
	c := &Doc{Runes: slices.Clone(d.Runes), Paras: slices.Clone(d.Paras), Left: d.Left}
	for i, r := range c.Runes {
		if r != '\n' && (r < ' ' || r > '~') {
			c.Runes[i] = '?'
		}
	}
	for i := range c.Paras {
		c.Paras[i].RTL = false
	}
	if len(c.Runes) > 0 {
		c.Spans = []Span{{End: len(c.Runes), Emoji: -1}}
	}
	return c
}

func (f *Fonts) layout(d *Doc, size, width float32) *Layout {
	l := &Layout{Doc: d, Size: size}
	span := 0
	for _, p := range d.Paras {
		inset := float32(0)
		if p.Quote {
			inset = quoteInset
		}
		from := len(l.Rows)
		span = f.para(l, p, span, max(1, width-inset))
		for i := from; i < len(l.Rows); i++ {
			r := &l.Rows[i]
			r.Quote, r.RTL, r.X = p.Quote, p.RTL, inset
			r.Y = l.Height
			l.Height += r.Height + spacing
			l.Width = max(l.Width, r.Width+inset)
		}
	}
	l.Height -= spacing
	l.Width = float32(math.Ceil(float64(l.Width)))
	l.align(l.Width)
	return l
}

// align puts the rows of right-to-left paragraphs at the right of a box.
func (l *Layout) align(width float32) {
	for i := range l.Rows {
		r := &l.Rows[i]
		switch {
		case !r.RTL:
		case r.Quote:
			r.X = max(0, width-quoteInset-r.Width)
		default:
			r.X = max(0, width-r.Width)
		}
	}
}

// asWritten turns off what the theme's font makes of characters beside each other, an
// arrow of -> and the like: people see what was typed, in half the time.
var asWritten = []shaping.FontFeature{{Tag: opentype.MustNewTag("calt"), Value: 0}}

// para adds the rows of a paragraph. Spans before first end before it; it returns the
// one that the next paragraph may begin with.
func (f *Fonts) para(l *Layout, p Para, first int, width float32) int {
	d := l.Doc
	dir := di.DirectionLTR
	if p.RTL {
		dir = di.DirectionRTL
	}
	if p.Start == p.End {
		asc, desc := f.metrics(0, l.Size)
		l.Rows = append(l.Rows, Row{Start: p.Start, End: p.End, Height: asc + desc, Baseline: asc})
		return first
	}
	for first < len(d.Spans) && d.Spans[first].End <= p.Start {
		first++
	}
	text := d.Runes[p.Start:p.End]
	var outs []shaping.Output
	for i := first; i < len(d.Spans) && d.Spans[i].Start < p.End; i++ {
		s := d.Spans[i]
		from, to := max(s.Start, p.Start)-p.Start, min(s.End, p.End)-p.Start
		if s.Emoji >= 0 {
			outs = append(outs, f.picture(l, from, to, dir))
			continue
		}
		in := shaping.Input{Text: text, RunStart: from, RunEnd: to, Direction: dir, Size: fixed.Int26_6(l.Size * 64)}
		if s.Style&Link != 0 {
			in.Direction = di.DirectionLTR // an address never runs the other way
		}
		face := f.face(s.Style)
		for _, in := range slices.Clone(f.segmenter.Split(in, face)) {
			if in.Face == face.own {
				in.FontFeatures = asWritten
			}
			outs = append(outs, f.shaper.Shape(in))
		}
	}
	cfg := shaping.WrapConfig{Direction: dir}
	lines, _ := f.wrapper.WrapParagraphF(cfg, fixed.Int26_6(width*64), text, shaping.NewSliceIterator(outs))
	for _, line := range lines {
		l.Rows = append(l.Rows, f.row(l, p, line, &first))
	}
	return first
}

// picture is an emoji in the guise of a shaped run: one glyph.
func (f *Fonts) picture(l *Layout, from, to int, dir di.Direction) shaping.Output {
	side := l.emojiSide()
	adv := fixed.Int26_6((side + 1) * 64)
	g := shaping.Glyph{Width: adv, Height: -adv, YBearing: adv, Advance: adv, XAdvance: adv, ClusterIndex: from, RuneCount: to - from, GlyphCount: 1} //nolint:staticcheck // the wrapper reads these
	return shaping.Output{
		Advance: adv, Size: fixed.Int26_6(l.Size * 64), Glyphs: []shaping.Glyph{g}, Direction: dir,
		Runes: shaping.Range{Offset: from, Count: to - from}, Face: f.face(0).own,
	}
}

// emojiSide is how large emoji are.
func (l *Layout) emojiSide() float32 {
	if l.Doc.Big {
		return bigEmoji
	}
	return float32(math.Round(float64(l.Size * emojiScale)))
}

// metrics is how far the font of a style reaches above and below its baseline.
func (f *Fonts) metrics(s Style, size float32) (ascent, descent float32) {
	face := f.face(s)
	e, ok := face.own.FontHExtents()
	if !ok {
		return size, size / 4
	}
	scale := size / float32(face.own.Upem())
	return ceil(e.Ascender * scale), ceil(-e.Descender * scale)
}

func ceil(v float32) float32 { return float32(math.Ceil(float64(v) - 0.02)) }

func px(v fixed.Int26_6) float32 { return float32(v) / 64 }

// row places the runs of a line from left to right, and finds how much room above and
// below the baseline the fonts in it need.
func (f *Fonts) row(l *Layout, p Para, line shaping.Line, span *int) Row {
	d := l.Doc
	asc, desc := f.metrics(0, l.Size)
	row := Row{Start: p.End, End: p.Start}
	levels := make([]int, len(line))
	base := 0
	if p.RTL {
		base = 1
	}
	at := *span
	for i, out := range line {
		start, end := p.Start+out.Runes.Offset, p.Start+out.Runes.Offset+out.Runes.Count
		row.Start, row.End = min(row.Start, start), max(row.End, end)
		for at < len(d.Spans)-1 && d.Spans[at].End <= start {
			at++
		}
		r := run{out: out, span: at, emoji: -1, rtl: out.Direction == di.DirectionRTL}
		if at < len(d.Spans) && d.Spans[at].Emoji >= 0 {
			r.emoji, r.side = d.Spans[at].Emoji, l.emojiSide()
			if l.Doc.Big {
				asc, desc = max(asc, r.side-6), max(desc, 6)
			}
		} else {
			asc, desc = max(asc, ceil(px(out.LineBounds.Ascent))), max(desc, ceil(-px(out.LineBounds.Descent)))
		}
		switch {
		case r.rtl:
			levels[i] = 1
		case base == 1, i > 0 && levels[i-1] > 0 && numbers(d.Runes[start:end]):
			levels[i] = 2
		}
		if r.emoji >= 0 {
			levels[i] = base
		}
		row.runs = append(row.runs, r)
	}
	*span = at
	reorder(row.runs, levels)
	x := float32(0)
	for i := range row.runs {
		row.runs[i].x = x
		x += px(row.runs[i].out.Advance)
	}
	row.Width, row.Height, row.Baseline = x, asc+desc, asc
	return row
}

// numbers tells whether a stretch is read from left to right only because of digits,
// which takes it along with the right-to-left text before it.
func numbers(runes []rune) bool {
	digit := false
	for _, r := range runes {
		p, _ := bidi.LookupRune(r)
		switch p.Class() {
		case bidi.L:
			return false
		case bidi.EN, bidi.AN:
			digit = true
		}
	}
	return digit
}

// reorder puts runs in the order they are seen, by rule L2 of the bidirectional
// algorithm (UAX 9): from the highest level down, what is on it is turned round.
func reorder(runs []run, levels []int) {
	for level := 2; level > 0; level-- {
		for i := 0; i < len(runs); i++ {
			j := i
			for j < len(runs) && levels[j] >= level {
				j++
			}
			if j > i {
				slices.Reverse(runs[i:j])
				slices.Reverse(levels[i:j])
				i = j
			}
		}
	}
}

// caret is where, from the left of the row, a rune begins; for one that is read from
// right to left, that is its right edge. Runes that one glyph stands for share it evenly.
func (r *run) caret(base, rune int) float32 {
	x := float32(0)
	for i := 0; i < len(r.out.Glyphs); {
		g := r.out.Glyphs[i]
		width := float32(0)
		j := i
		for ; j < len(r.out.Glyphs) && r.out.Glyphs[j].TextIndex() == g.TextIndex(); j++ {
			width += px(r.out.Glyphs[j].Advance)
		}
		from := base + g.TextIndex()
		count := max(1, g.RunesCount())
		if rune >= from && rune < from+count {
			part := width * float32(rune-from) / float32(count)
			if r.rtl {
				return r.x + x + width - part
			}
			return r.x + x + part
		}
		x += width
		i = j
	}
	end := base + r.out.Runes.Offset + r.out.Runes.Count
	if (rune >= end) != r.rtl {
		return r.x + x
	}
	return r.x
}

// paraOf is the paragraph that a row belongs to: its runs count from there.
func (l *Layout) paraOf(row *Row) Para {
	i, _ := slices.BinarySearchFunc(l.Doc.Paras, row.Start, func(p Para, at int) int { return p.Start - at })
	if i == len(l.Doc.Paras) || l.Doc.Paras[i].Start > row.Start {
		i--
	}
	return l.Doc.Paras[max(0, i)]
}

// RowAt is the row at a height, the first or last one if it is outside.
func (l *Layout) RowAt(y float32) int {
	i, found := slices.BinarySearchFunc(l.Rows, y, func(r Row, y float32) int {
		switch {
		case r.Y > y:
			return 1
		case r.Y < y:
			return -1
		}
		return 0
	})
	if !found {
		i--
	}
	return max(0, min(i, len(l.Rows)-1))
}

// Index is the place between two runes that is nearest to a point: an index into the
// runes of the Doc. hit tells whether the point is on the row's text, and on is the
// rune it is on.
func (l *Layout) Index(x, y float32) (index, on int, hit bool) {
	row := &l.Rows[l.RowAt(y)]
	para := l.paraOf(row)
	x -= row.X
	hit = x >= 0 && x < row.Width && y >= row.Y && y < row.Y+row.Height
	if len(row.runs) == 0 {
		return row.Start, row.Start, false
	}
	if x < 0 || x >= row.Width {
		if (x < 0) != row.RTL {
			return row.Start, row.Start, false
		}
		return row.End, max(row.Start, row.End-1), false
	}
	for i := range row.runs {
		r := &row.runs[i]
		if x >= r.x+px(r.out.Advance) && i < len(row.runs)-1 {
			continue
		}
		at := r.x
		for g := 0; g < len(r.out.Glyphs); {
			first := r.out.Glyphs[g]
			width := float32(0)
			for ; g < len(r.out.Glyphs) && r.out.Glyphs[g].TextIndex() == first.TextIndex(); g++ {
				width += px(r.out.Glyphs[g].Advance)
			}
			if x < at+width || g == len(r.out.Glyphs) {
				count := max(1, first.RunesCount())
				part := float64((x - at) / max(width, 0.01))
				if r.rtl {
					part = 1 - part
				}
				from := para.Start + first.TextIndex()
				if r.emoji >= 0 || !l.Doc.splits(from, from+count) {
					count, on = 1, from // a cluster is whole
					index = from
					if part >= 0.5 {
						index = from + max(1, first.RunesCount())
					}
					return index, on, hit
				}
				on = from + max(0, min(count-1, int(part*float64(count))))
				index = from + max(0, min(count, int(math.Round(part*float64(count)))))
				return index, on, hit
			}
			at += width
		}
	}
	return row.End, max(row.Start, row.End-1), hit
}

// splits tells whether a caret may stand inside of what one glyph shows: in a ligature
// of letters, not between a letter and its marks.
func (d *Doc) splits(from, to int) bool {
	for _, r := range d.Runes[min(from+1, len(d.Runes)):min(to, len(d.Runes))] {
		if joins(r) {
			return false
		}
	}
	return true
}

// Rect is a part of a Layout.
type Rect struct{ X, Y, Width, Height float32 }

// Rects are the boxes round the runes from start to end, one or more a row.
func (l *Layout) Rects(start, end int) []Rect {
	var out []Rect
	for i := range l.Rows {
		row := &l.Rows[i]
		if row.Start >= end || row.End < start {
			continue
		}
		base := l.paraOf(row).Start
		if row.Start == row.End && start <= row.Start { // an empty line that is selected shows a little
			out = append(out, Rect{row.X, row.Y, 4, row.Height})
			continue
		}
		for j := range row.runs {
			r := &row.runs[j]
			from := max(start, base+r.out.Runes.Offset)
			to := min(end, base+r.out.Runes.Offset+r.out.Runes.Count)
			if from >= to {
				continue
			}
			a, b := r.caret(base, from), r.caret(base, to)
			if a > b {
				a, b = b, a
			}
			box := Rect{row.X + a, row.Y, b - a, row.Height}
			if k := len(out) - 1; k >= 0 && out[k].Y == box.Y && out[k].X+out[k].Width >= box.X-1 && out[k].X <= box.X {
				out[k].Width = box.X + box.Width - out[k].X
				continue
			}
			out = append(out, box)
		}
	}
	return out
}

// InStyle is the same text in one style more.
func (d *Doc) InStyle(s Style) *Doc {
	c := *d
	c.Spans = slices.Clone(d.Spans)
	for i := range c.Spans {
		c.Spans[i].Style |= s
	}
	return &c
}

// Cut is a Layout of at most so many rows; the last one ends in an ellipsis if
// something is left out. It is for names and excerpts, of one paragraph.
func (f *Fonts) Cut(d *Doc, size, width float32, rows int) *Layout {
	l := f.Layout(d, size, width)
	if len(l.Rows) <= rows && d.Left == 0 {
		return l
	}
	end := l.Rows[min(rows, len(l.Rows))-1].End
	for end > 0 {
		c := &Doc{Runes: append(slices.Clone(d.Runes[:end]), '…')}
		for _, s := range d.Spans {
			if s.Start < end {
				s.End = min(s.End, end)
				c.Spans = append(c.Spans, s)
			}
		}
		style := Style(0)
		if len(c.Spans) > 0 {
			style = c.Spans[len(c.Spans)-1].Style &^ Link
		}
		c.Spans = append(c.Spans, Span{Start: end, End: end + 1, Style: style, Emoji: -1})
		c.Paras = []Para{{End: end + 1, RTL: len(d.Paras) > 0 && d.Paras[0].RTL}}
		if l = f.Layout(c, size, width); len(l.Rows) <= rows {
			break
		}
		end-- // one more letter, until the ellipsis fits
		for end > 0 && !d.splits(end-1, end+1) {
			end--
		}
	}
	return l
}
