package widget

import (
	"crypto/sha256"
	"image/color"
	"math"
	"strings"
	"unicode"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	fynewidget "fyne.io/fyne/v2/widget"

	"github.com/godwit-im/godwit/app/ui/theme"
)

// hue is one of the twelve colours of avatars: white has at least 6:1 on each.
func hue(i byte) color.NRGBA {
	h := [12]uint32{
		0x7B3FA0, 0x2F62A8, 0x0B6B57, 0x3F6B1C, 0x8A4B08, 0xA33B2A,
		0x9A2F63, 0x5B50A6, 0x2B6572, 0x6B5A10, 0x545F6B, 0x7A4440,
	}[int(i)%12]
	return color.NRGBA{uint8(h >> 16), uint8(h >> 8), uint8(h), 0xff}
}

// Look is how an avatar is drawn: it follows from the key alone, so two people of one
// name differ, and one person looks the same everywhere. It is decoration and proves
// nothing: that is what the safety number is for.
type Look struct {
	Face, Ring int      // hues, two different ones
	Dots       [12]bool // places round the ring, clockwise from the top
}

// LookOf is the look of a key's id.
func LookOf(id string) Look {
	sum := sha256.Sum256([]byte("avatar " + id))
	l := Look{Face: int(sum[0]) % 12}
	l.Ring = (l.Face + 1 + int(sum[1])%11) % 12
	for i := range l.Dots {
		l.Dots[i] = sum[2+i]%3 == 0
	}
	l.Dots[int(sum[20])%12] = true // never without any
	return l
}

// Initial is what stands in an avatar's middle: the first letter or digit of a name.
func Initial(name string) string {
	for _, r := range name {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return strings.ToUpper(string(r))
		}
	}
	return "?"
}

// Avatar is a person's two hues, ring of dots and initial; or an icon, for what is no
// person.
type Avatar struct {
	fynewidget.BaseWidget
	id, name, icon string
	side           float32
}

// NewAvatar is the avatar of a key's id and a name.
func NewAvatar(id, name string, side float32) *Avatar {
	a := &Avatar{id: id, name: name, side: side}
	a.ExtendBaseWidget(a)
	return a
}

// Set shows somebody else. With an icon there is no initial.
func (a *Avatar) Set(id, name, icon string) {
	if a.id != id || a.name != name || a.icon != icon {
		a.id, a.name, a.icon = id, name, icon
		a.Refresh()
	}
}

// CreateRenderer implements fyne.Widget.
func (a *Avatar) CreateRenderer() fyne.WidgetRenderer {
	white := color.NRGBA{0xff, 0xff, 0xff, 0xff}
	r := &avatarRenderer{a: a, ring: canvas.NewCircle(nil), face: canvas.NewCircle(nil), letter: canvas.NewText("", white), icon: NewIcon("", a.side*0.5, "")}
	r.letter.Alignment, r.letter.TextStyle.Bold = fyne.TextAlignCenter, true
	for range 12 {
		r.dots = append(r.dots, canvas.NewCircle(white))
	}
	r.Refresh()
	return r
}

type avatarRenderer struct {
	a          *Avatar
	ring, face *canvas.Circle
	dots       []*canvas.Circle
	letter     *canvas.Text
	icon       *Icon
}

// The ring is a tenth of the avatar, and a dot a little less: it stays inside.
const (
	ringPart = 0.10
	dotPart  = 0.075
)

func (r *avatarRenderer) Refresh() {
	l := LookOf(r.a.id)
	r.ring.FillColor, r.face.FillColor = hue(byte(l.Ring)), hue(byte(l.Face))
	for i, d := range r.dots {
		d.Hidden = !l.Dots[i]
	}
	r.letter.Text, r.letter.TextSize = Initial(r.a.name), r.a.side*0.4
	r.letter.Hidden = r.a.icon != ""
	r.icon.Hidden = r.a.icon == ""
	r.icon.Set(r.a.icon, theme.White)
	r.Layout(r.a.Size())
	for _, o := range r.Objects() {
		o.Refresh()
	}
}

func (r *avatarRenderer) Layout(s fyne.Size) {
	side := r.a.side
	x, y := (s.Width-side)/2, (s.Height-side)/2
	put := func(o fyne.CanvasObject, cx, cy, d float32) {
		o.Resize(fyne.NewSquareSize(d))
		o.Move(fyne.NewPos(x+cx-d/2, y+cy-d/2))
	}
	put(r.ring, side/2, side/2, side)
	put(r.face, side/2, side/2, side*(1-2*ringPart))
	for i, d := range r.dots {
		angle := float64(i) * math.Pi / 6
		radius := side * (1 - ringPart) / 2
		put(d, side/2+radius*float32(math.Sin(angle)), side/2-radius*float32(math.Cos(angle)), side*dotPart)
	}
	m := r.letter.MinSize()
	r.letter.Resize(m)
	r.letter.Move(fyne.NewPos(x+(side-m.Width)/2, y+(side-m.Height)/2))
	put(r.icon, side/2, side/2, side*0.5)
}

func (r *avatarRenderer) MinSize() fyne.Size { return fyne.NewSquareSize(r.a.side) }
func (r *avatarRenderer) Objects() []fyne.CanvasObject {
	o := []fyne.CanvasObject{r.ring, r.face}
	for _, d := range r.dots {
		o = append(o, d)
	}
	return append(o, r.letter, r.icon)
}
func (r *avatarRenderer) Destroy() {}
