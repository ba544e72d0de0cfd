package widget

import (
	"crypto/sha256"
	"image"
	"image/color"
	"math"
	"strings"
	"unicode"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	fynewidget "fyne.io/fyne/v2/widget"
	"github.com/clipperhouse/uax29/v2/graphemes"

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

// emblem is what stands in the middle of an avatar of a name without letters: its first emoji,
// of a side; nil: it has none.
func emblem(name string, side float32) *fyne.Container {
	for it := graphemes.FromString(name); it.Next(); {
		if w := writerOf(it.Value()); w != nil {
			return w.Write(it.Value(), side*0.4, fyne.TextStyle{}, theme.Color(theme.White), side)
		}
	}
	return nil
}

// Avatar is a person's two hues, ring of dots and initial; or an icon, for what is no
// person. Ring, face and dots are one picture: to draw each by itself costs a window with
// many avatars more than all of its words.
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
	r := &avatarRenderer{a: a, letter: canvas.NewText("", color.NRGBA{0xff, 0xff, 0xff, 0xff}), icon: NewIcon("", a.side*0.5, "")}
	r.disc = canvas.NewRaster(r.draw)
	r.disc.ScaleMode = canvas.ImageScalePixels // it is drawn at the size it is shown in
	r.letter.TextStyle.Bold = true
	r.Refresh()
	return r
}

type avatarRenderer struct {
	a      *Avatar
	disc   *canvas.Raster
	letter *canvas.Text
	icon   *Icon
	emblem *fyne.Container // in place of the letter; nil: there is none
	id     string          // whose picture that is
	drawn  *image.RGBA     // kept: Fyne asks for it again and again
}

// discStep is what the picture's size is a multiple of, in px: at every scale in steps of
// 5 % it is whole pixels of the screen then, and is not stretched to fit.
const discStep = 20

func (r *avatarRenderer) draw(w, h int) image.Image {
	if r.drawn == nil || r.id != r.a.id || r.drawn.Rect.Dx() != w || r.drawn.Rect.Dy() != h {
		side := float64(w) * float64(r.a.side/r.disc.Size().Width)
		r.id, r.drawn = r.a.id, LookOf(r.a.id).disc(w, h, side)
	}
	return r.drawn
}

func (r *avatarRenderer) Refresh() {
	if r.id != r.a.id {
		r.disc.Refresh()
	}
	r.letter.Text, r.letter.TextSize = Initial(r.a.name), r.a.side*0.4
	r.emblem = nil
	if r.a.icon == "" && r.letter.Text == "?" {
		r.emblem = emblem(r.a.name, r.a.side)
	}
	r.letter.Hidden = r.a.icon != "" || r.emblem != nil
	r.icon.Hidden = r.a.icon == ""
	r.icon.Set(r.a.icon, theme.White)
	r.Layout(r.a.Size())
	r.letter.Refresh()
	if r.emblem != nil {
		canvas.Refresh(r.a)
	}
}

func (r *avatarRenderer) Layout(s fyne.Size) {
	side := r.a.side
	at := fyne.NewPos((s.Width-side)/2, (s.Height-side)/2)
	middle := func(o fyne.CanvasObject, m fyne.Size) {
		o.Resize(m)
		o.Move(at.AddXY((side-m.Width)/2, (side-m.Height)/2))
	}
	middle(r.disc, fyne.NewSquareSize(discStep*float32(math.Ceil(float64(side/discStep)))))
	middle(r.letter, r.letter.MinSize())
	if r.emblem != nil {
		middle(r.emblem, r.emblem.Size())
	}
	middle(r.icon, fyne.NewSquareSize(side*0.5))
}

func (r *avatarRenderer) MinSize() fyne.Size { return fyne.NewSquareSize(r.a.side) }
func (r *avatarRenderer) Objects() []fyne.CanvasObject {
	if r.emblem != nil {
		return []fyne.CanvasObject{r.disc, r.emblem}
	}
	return []fyne.CanvasObject{r.disc, r.letter, r.icon}
}
func (r *avatarRenderer) Destroy() {}

// The ring is a tenth of the avatar, and a dot a little less: it stays inside.
const (
	ringPart = 0.10
	dotPart  = 0.075
)

// disc is the picture of a look, without an initial, in the middle of an image.
func (l Look) disc(w, h int, side float64) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	cx, cy := float64(w)/2, float64(h)/2
	fill(img, cx, cy, side/2, hue(byte(l.Ring)))
	fill(img, cx, cy, side*(0.5-ringPart), hue(byte(l.Face)))
	for i, there := range l.Dots {
		if there {
			sin, cos := math.Sincos(float64(i) * math.Pi / 6)
			radius := side * (1 - ringPart) / 2
			fill(img, cx+radius*sin, cy-radius*cos, side*dotPart/2, color.NRGBA{0xff, 0xff, 0xff, 0xff})
		}
	}
	return img
}

// fill paints a disc. A pixel that its edge runs through has as much of it as the distance
// from the edge says, which is what it covers but for a hundredth.
func fill(img *image.RGBA, cx, cy, radius float64, c color.NRGBA) {
	around := image.Rect(int(cx-radius)-1, int(cy-radius)-1, int(cx+radius)+2, int(cy+radius)+2).Intersect(img.Rect)
	for y := around.Min.Y; y < around.Max.Y; y++ {
		for x := around.Min.X; x < around.Max.X; x++ {
			covered := radius + 0.5 - math.Hypot(float64(x)+0.5-cx, float64(y)+0.5-cy)
			if covered <= 0 {
				continue
			}
			part := int(min(covered, 1)*255 + 0.5)
			p := img.Pix[img.PixOffset(x, y):][:4]
			for i, v := range [4]uint8{c.R, c.G, c.B, 0xff} {
				p[i] = uint8((int(v)*part + int(p[i])*(255-part) + 127) / 255)
			}
		}
	}
}
