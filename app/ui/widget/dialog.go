package widget

import (
	"image"
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	fynewidget "fyne.io/fyne/v2/widget"
	"rsc.io/qr"

	"github.com/godwit-im/godwit/app/ui/theme"
)

// Dialog is a sheet over the window, closed by Escape, its cross or a button.
type Dialog struct {
	canvas fyne.Canvas
	pop    *fynewidget.PopUp
	keys   func(*fyne.KeyEvent) // what the window did with keys before
	closed func()
}

// ShowDialog shows a sheet of a width with a title, content and buttons in a row at its
// foot. Close is the name of the cross. What closed is called once, if it is not nil.
func ShowDialog(c fyne.Canvas, title, closeName string, width float32, content fyne.CanvasObject, closed func(), buttons ...fyne.CanvasObject) *Dialog {
	d := &Dialog{canvas: c, closed: closed, keys: c.OnTypedKey()}
	cross := Inset(theme.Space3, 0, 0, 0, ColumnTop(36, NewIconButton("close", closeName, d.Close)))
	head := Edge(nil, nil, nil, cross, Inset(0, 4, 0, 0, NewPara(title, theme.TextSection, theme.Text).Bold()))
	body := Col(theme.Space5, head, content)
	if len(buttons) > 0 {
		body.Add(container.New(footer{}, buttons...))
	}
	d.pop = fynewidget.NewModalPopUp(fit(c, width, Inset(theme.Space5, theme.Space3, theme.Space5, theme.Space5, body)), c)
	c.SetOnTypedKey(func(e *fyne.KeyEvent) {
		if e.Name == fyne.KeyEscape {
			d.Close()
		}
	})
	d.pop.Show()
	return d
}

// Close takes the sheet away.
func (d *Dialog) Close() {
	if d.pop == nil {
		return
	}
	d.pop.Hide()
	d.pop = nil
	d.canvas.SetOnTypedKey(d.keys)
	if d.closed != nil {
		d.closed()
	}
}

// Fit lays the sheet out anew after its content became larger or smaller.
func (d *Dialog) Fit() {
	if d.pop != nil {
		d.pop.Resize(d.pop.MinSize())
		d.pop.Refresh()
	}
}

// fit keeps content as wide as wanted, or as the window allows.
func fit(c fyne.Canvas, width float32, o fyne.CanvasObject) *fyne.Container {
	return container.New(fitLayout{c, width}, o)
}

type fitLayout struct {
	canvas fyne.Canvas
	width  float32
}

func (f fitLayout) wide() float32 {
	return min(f.width, max(f.canvas.Size().Width-2*theme.Space7, 240))
}

func (f fitLayout) Layout(o []fyne.CanvasObject, s fyne.Size) {
	o[0].Move(fyne.Position{})
	o[0].Resize(s)
}

func (f fitLayout) MinSize(o []fyne.CanvasObject) fyne.Size {
	w := f.wide()
	if s := o[0].Size(); s.Width != w {
		o[0].Resize(fyne.NewSize(w, s.Height)) // wrapped text knows its height once it has its width
	}
	return fyne.NewSize(w, o[0].MinSize().Height)
}

// footer puts buttons at the right, the last one outermost; below each other where
// they do not fit.
type footer struct{}

func (footer) fits(o []fyne.CanvasObject, width float32) bool {
	need := float32(0)
	for _, b := range o {
		need += b.MinSize().Width + theme.Space4
	}
	return need-theme.Space4 <= width
}

func (f footer) Layout(o []fyne.CanvasObject, s fyne.Size) {
	if !f.fits(o, s.Width) {
		y := float32(0)
		for i := range o {
			b := o[len(o)-1-i]
			b.Resize(fyne.NewSize(s.Width, b.MinSize().Height))
			b.Move(fyne.NewPos(0, y))
			y += b.MinSize().Height + theme.Space3
		}
		return
	}
	x := s.Width
	for i := range o {
		b := o[len(o)-1-i]
		m := b.MinSize()
		x -= m.Width
		b.Resize(m)
		b.Move(fyne.NewPos(x, (s.Height-m.Height)/2))
		x -= theme.Space4
	}
}

func (f footer) MinSize(o []fyne.CanvasObject) fyne.Size {
	var m fyne.Size
	for _, b := range o {
		m = m.Max(b.MinSize())
	}
	return m
}

// QR draws a text as a code of this side, black on white in any theme, with the quiet
// room that readers need. Text that is too long for a code gives nil.
func QR(text string, side float32) fyne.CanvasObject {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return nil
	}
	img := canvas.NewImageFromImage(modules(code))
	img.FillMode = canvas.ImageFillContain
	img.ScaleMode = canvas.ImageScalePixels
	white := canvas.NewRectangle(theme.Color(theme.White))
	white.CornerRadius = theme.RadiusField
	return Exactly(side, side, Stack(white, Inset(theme.Space2, theme.Space2, theme.Space2, theme.Space2, img)))
}

// modules is a code with one pixel a module and four round it, as the standard has it.
func modules(code *qr.Code) image.Image {
	const quiet = 4
	img := image.NewGray(image.Rect(0, 0, code.Size+2*quiet, code.Size+2*quiet))
	for i := range img.Pix {
		img.Pix[i] = 0xff
	}
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				img.SetGray(x+quiet, y+quiet, color.Gray{})
			}
		}
	}
	return img
}
