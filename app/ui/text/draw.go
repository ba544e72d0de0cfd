package text

import (
	"image"
	"image/color"
	"image/draw"
	"math"
)

// Colours are what a text is drawn in.
type Colours struct {
	Text, Link, Faint color.Color // Faint is for quoted lines and their bar
	Code              color.Color // ground of code
}

// Draw draws a row; its left upper corner is that of the image, pad px to the right.
// Scale is px of the image for each px of the layout.
func (f *Fonts) Draw(dst *image.RGBA, l *Layout, row int, c Colours, scale, pad float32) {
	r := &l.Rows[row]
	baseline := int(math.Round(float64(r.Baseline * scale)))
	for i := range r.runs {
		run := &r.runs[i]
		x := (run.x + pad) * scale
		if run.emoji >= 0 {
			side := int(math.Round(float64(run.side * scale)))
			top := baseline - int(math.Round(float64(run.side*scale*0.8)))
			if l.Doc.Big {
				top = 0
			}
			img := f.emoji.Image(run.emoji, side)
			at := image.Pt(int(x+scale/2), top)
			draw.Draw(dst, image.Rectangle{at, at.Add(image.Pt(side, side))}, img, image.Point{}, draw.Over)
			continue
		}
		span := Span{}
		if run.span < len(l.Doc.Spans) {
			span = l.Doc.Spans[run.span]
		}
		col := c.Text
		switch {
		case span.Style&(Link|Mention) != 0:
			col = c.Link
		case r.Quote:
			col = c.Faint
		}
		width := px(run.out.Advance)
		if span.Style&Code != 0 && c.Code != nil {
			draw.Draw(dst, image.Rect(int(x-scale), int(scale), int(x+(width+1)*scale), int((r.Height-1)*scale)), image.NewUniform(c.Code), image.Point{}, draw.Over)
		}
		f.run(dst, &run.out, x, baseline, scale, col)
		if span.Style&Link != 0 {
			y := baseline + int(math.Round(float64(2*scale)))
			thick := max(1, int(math.Round(float64(scale))))
			draw.Draw(dst, image.Rect(int(x), y, int(x+width*scale), y+thick), image.NewUniform(col), image.Point{}, draw.Over)
		}
	}
}
