// Package desktop has what is installed beside the program; its only code makes the
// icon's sizes from im.godwit.desktop.svg.
package desktop

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/png"
	"os"
	"testing"

	"github.com/fyne-io/oksvg"
	"github.com/srwiley/rasterx"
	"golang.org/x/image/draw"
)

var update = flag.Bool("update", false, "write the icon's sizes anew, as `make generate` does")

// sizes are those of the icon theme hicolor that desktops ask for, in pixels.
var sizes = []int{16, 32, 48, 64, 128, 256, 512}

// drawn is the icon in the size that it was drawn in, 512 by 512.
func drawn(t *testing.T) *image.RGBA {
	t.Helper()
	f, err := os.Open("im.godwit.desktop.svg")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	icon, err := oksvg.ReadIconStream(f, oksvg.StrictErrorMode)
	if err != nil {
		t.Fatal(err)
	}
	w, h := int(icon.ViewBox.W), int(icon.ViewBox.H)
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	icon.SetTarget(0, 0, float64(w), float64(h))
	icon.Draw(rasterx.NewDasher(w, h, rasterx.NewScannerGV(w, h, img, img.Bounds())), 1)
	return img
}

func TestIconSizes(t *testing.T) {
	whole := drawn(t)
	for _, size := range sizes {
		want := image.NewRGBA(image.Rect(0, 0, size, size))
		draw.CatmullRom.Scale(want, want.Bounds(), whole, whole.Bounds(), draw.Src, nil)
		name := fmt.Sprintf("%d.png", size)
		if *update {
			var b bytes.Buffer
			if err := png.Encode(&b, want); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := png.Decode(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		if !alike(got, want) {
			t.Errorf("%s is not what im.godwit.desktop.svg shows: run `make generate`", name)
		}
	}
}

// alike says whether two images are the same but for roundings, which differ between
// processors.
func alike(a, b image.Image) bool {
	if a.Bounds() != b.Bounds() {
		return false
	}
	const most = 3 * 0x101 // of 0xffff
	near := func(x, y uint32) bool { return max(x, y)-min(x, y) <= most }
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			r1, g1, b1, a1 := a.At(x, y).RGBA()
			r2, g2, b2, a2 := b.At(x, y).RGBA()
			if !near(r1, r2) || !near(g1, g2) || !near(b1, b2) || !near(a1, a2) {
				return false
			}
		}
	}
	return true
}
