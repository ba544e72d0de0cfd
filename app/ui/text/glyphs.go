package text

import (
	"image"
	"image/color"
	"image/draw"
	"math"

	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/shaping"
	"golang.org/x/image/vector"
)

// glyphs keeps the shapes of letters as they were drawn: a row is mostly letters that
// were drawn before, and copying one costs a tenth of drawing it.
type glyphs struct {
	masks map[glyphKey]glyphMask
	lines vector.Rasterizer
}

// keptGlyphs is how many there are before all are forgotten: some 2 MB.
const keptGlyphs = 8192

// parts of a px at which a letter may begin; finer ones nobody sees.
const parts = 4

type glyphKey struct {
	face *font.Face
	id   font.GID
	size float32 // px of the image
	part uint8
}

type glyphMask struct {
	img *image.Alpha // nil: nothing to be seen
	at  image.Point  // its upper left corner, from where the letter begins on the baseline
	odd bool         // no outline but a picture: it is drawn each time
}

// run draws a shaped run that begins at x on the baseline y, in px of the image.
func (f *Fonts) run(dst *image.RGBA, out *shaping.Output, x float32, y int, scale float32, c color.Color) {
	src := image.NewUniform(c)
	size := px(out.Size) * scale
	for i := range out.Glyphs {
		g := &out.Glyphs[i]
		gx := x + px(g.XOffset)*scale
		gy := y - int(math.Round(float64(px(g.YOffset)*scale)))
		x += px(g.Advance) * scale
		whole := float32(math.Floor(float64(gx)))
		m := f.glyphs.mask(glyphKey{out.Face, g.GlyphID, size, uint8((gx - whole) * parts)})
		if m.odd {
			one := *out
			one.Glyphs = out.Glyphs[i : i+1]
			f.renderer.FontSize, f.renderer.PixScale, f.renderer.Color = px(out.Size), scale, c
			f.renderer.DrawShapedRunAt(one, dst, int(gx-px(g.XOffset)*scale), y)
			continue
		}
		if m.img == nil {
			continue
		}
		at := image.Pt(int(whole), gy).Add(m.at)
		draw.DrawMask(dst, image.Rectangle{at, at.Add(m.img.Rect.Size())}, src, image.Point{}, m.img, image.Point{}, draw.Over)
	}
}

// mask is the shape of a letter.
func (g *glyphs) mask(k glyphKey) glyphMask {
	if m, ok := g.masks[k]; ok {
		return m
	}
	if len(g.masks) >= keptGlyphs {
		clear(g.masks)
	}
	m := g.make(k)
	g.masks[k] = m
	return m
}

func (g *glyphs) make(k glyphKey) glyphMask {
	outline, ok := k.face.GlyphData(k.id).(font.GlyphOutline)
	if !ok {
		return glyphMask{odd: k.face.GlyphData(k.id) != nil}
	}
	scale := k.size / float32(k.face.Upem())
	shift := float32(k.part) / parts
	left, top, right, bottom := float32(math.Inf(1)), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.Inf(-1))
	for _, s := range outline.Segments {
		for _, p := range s.ArgsSlice() {
			left, right = min(left, p.X), max(right, p.X)
			top, bottom = min(top, -p.Y), max(bottom, -p.Y)
		}
	}
	if left >= right || top >= bottom {
		return glyphMask{}
	}
	x0, y0 := floor(left*scale+shift), floor(top*scale)
	w, h := floor(right*scale+shift)+2-x0, floor(bottom*scale)+2-y0
	if w > 4096 || h > 4096 { // a font that is broken on purpose
		return glyphMask{}
	}
	dx, dy := shift-float32(x0), -float32(y0)
	r := &g.lines
	r.Reset(w, h)
	at := func(p opentype.SegmentPoint) (float32, float32) { return p.X*scale + dx, -p.Y*scale + dy }
	for _, s := range outline.Segments {
		ax, ay := at(s.Args[0])
		bx, by := at(s.Args[1])
		cx, cy := at(s.Args[2])
		switch s.Op {
		case opentype.SegmentOpMoveTo:
			r.ClosePath()
			r.MoveTo(ax, ay)
		case opentype.SegmentOpLineTo:
			r.LineTo(ax, ay)
		case opentype.SegmentOpQuadTo:
			r.QuadTo(ax, ay, bx, by)
		case opentype.SegmentOpCubeTo:
			r.CubeTo(ax, ay, bx, by, cx, cy)
		}
	}
	r.ClosePath()
	img := image.NewAlpha(image.Rect(0, 0, w, h))
	r.DrawOp = draw.Src
	r.Draw(img, img.Rect, image.Opaque, image.Point{})
	return glyphMask{img: img, at: image.Pt(x0, y0)}
}

func floor(v float32) int { return int(math.Floor(float64(v))) }
