// Command gen makes the emoji files of package assets from the npm package
// emoji-datasource-google, which holds the pictures of Noto Emoji at 64 px:
//
//	npm install emoji-datasource-google@16.0.0
//	go run ./app/ui/emoji/gen node_modules/emoji-datasource-google assets/emoji
//
// It writes emoji.tsv, one emoji a line in the order of the Unicode charts
// (sequence in hex, group, short names, name; a line with group "=" is a skin tone
// of the emoji above), and noto.pack with their pictures in the same order: a
// big-endian uint32 count, as many uint32 lengths, then the PNGs, reduced to 64
// colours each (nobody sees the difference, and it is half the size).
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

const colours = 64

type entry struct {
	Name       string             `json:"name"`
	Unified    string             `json:"unified"`
	Image      string             `json:"image"`
	ShortNames []string           `json:"short_names"`
	Category   string             `json:"category"`
	Order      int                `json:"sort_order"`
	Tones      map[string]variant `json:"skin_variations"`
}

type variant struct {
	Unified string `json:"unified"`
	Image   string `json:"image"`
}

// groups in the order in which a picker shows them; skin tones by themselves are in none.
var groups = []string{"Smileys & Emotion", "People & Body", "Animals & Nature", "Food & Drink", "Travel & Places", "Activities", "Objects", "Symbols", "Flags", "Component"}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: gen EMOJI-DATASOURCE-GOOGLE OUT")
	}
	from, to := args[0], args[1]
	b, err := os.ReadFile(filepath.Join(from, "emoji.json"))
	if err != nil {
		return err
	}
	var all []entry
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	rank := map[string]int{}
	for i, g := range groups {
		rank[g] = i
	}
	sort.SliceStable(all, func(i, j int) bool {
		a, b := all[i], all[j]
		if rank[a.Category] != rank[b.Category] {
			return rank[a.Category] < rank[b.Category]
		}
		return a.Order < b.Order
	})

	var table, pictures bytes.Buffer
	var lengths []uint32
	add := func(sequence, group, short, name, file string) error {
		p, err := picture(filepath.Join(from, "img", "google", "64", file))
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		lengths = append(lengths, uint32(len(p)))
		pictures.Write(p)
		fmt.Fprintf(&table, "%s\t%s\t%s\t%s\n", sequence, group, short, name)
		return nil
	}
	for _, e := range all {
		name := strings.ToLower(strings.ReplaceAll(e.Name, "\t", " "))
		if err := add(e.Unified, e.Category, strings.Join(e.ShortNames, ","), name, e.Image); err != nil {
			return err
		}
		tones := make([]string, 0, len(e.Tones))
		for t := range e.Tones {
			tones = append(tones, t)
		}
		sort.Strings(tones)
		for _, t := range tones {
			if err := add(e.Tones[t].Unified, "=", "", "", e.Tones[t].Image); err != nil {
				return err
			}
		}
	}
	var pack bytes.Buffer
	binary.Write(&pack, binary.BigEndian, uint32(len(lengths))) // a Buffer takes everything
	binary.Write(&pack, binary.BigEndian, lengths)
	pictures.WriteTo(&pack)
	if err := os.WriteFile(filepath.Join(to, "emoji.tsv"), table.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, "noto.pack"), pack.Bytes(), 0o644)
}

// picture reads a PNG and writes it again with a palette.
func picture(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	src, err := png.Decode(f)
	if err != nil {
		return nil, err
	}
	b := src.Bounds()
	px := make([]color.RGBA, 0, b.Dx()*b.Dy()) // premultiplied: what is seen
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := color.RGBAModel.Convert(src.At(x, y)).(color.RGBA)
			px = append(px, c)
		}
	}
	pal := palette(px)
	dst := image.NewPaletted(image.Rect(0, 0, b.Dx(), b.Dy()), nil)
	for _, c := range pal {
		dst.Palette = append(dst.Palette, color.NRGBAModel.Convert(c))
	}
	near := map[color.RGBA]uint8{}
	for i, c := range px {
		n, ok := near[c]
		if !ok {
			n = uint8(nearest(pal, c))
			near[c] = n
		}
		dst.Pix[i] = n
	}
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, dst)
	return out.Bytes(), err
}

// palette reduces the colours of a picture by median cut, and then moves each to the
// middle of what it stands for, a few times.
func palette(px []color.RGBA) []color.RGBA {
	boxes := [][]color.RGBA{append([]color.RGBA(nil), px...)}
	for len(boxes) < colours {
		best, axis, size := -1, 0, 0
		for i, b := range boxes {
			if a, s := spread(b); s > size {
				best, axis, size = i, a, s
			}
		}
		if best < 0 {
			break
		}
		b := boxes[best]
		sort.Slice(b, func(i, j int) bool { return channel(b[i], axis) < channel(b[j], axis) })
		cut := len(b) / 2
		for cut < len(b) && channel(b[cut], axis) == channel(b[cut-1], axis) {
			cut++
		}
		if cut == len(b) {
			for cut = len(b) / 2; channel(b[cut], axis) == channel(b[cut-1], axis); cut-- {
			}
		}
		boxes[best] = b[:cut:cut]
		boxes = append(boxes, b[cut:])
	}
	pal := make([]color.RGBA, len(boxes))
	for i, b := range boxes {
		pal[i] = mean(b)
	}
	for range 4 {
		sets := make([][]color.RGBA, len(pal))
		for _, c := range px {
			n := nearest(pal, c)
			sets[n] = append(sets[n], c)
		}
		for i, s := range sets {
			if len(s) > 0 {
				pal[i] = mean(s)
			}
		}
	}
	return pal
}

// spread is the channel in which a box is widest, and that width weighed by how many
// pixels would gain.
func spread(b []color.RGBA) (axis, size int) {
	for a := range 4 {
		lo, hi := 255, 0
		for _, c := range b {
			v := int(channel(c, a))
			lo, hi = min(lo, v), max(hi, v)
		}
		if w := hi - lo; w > 0 && w*w*len(b) > size {
			axis, size = a, w*w*len(b)
		}
	}
	return axis, size
}

func channel(c color.RGBA, axis int) uint8 { return [4]uint8{c.R, c.G, c.B, c.A}[axis] }

func mean(b []color.RGBA) color.RGBA {
	var s [4]int
	for _, c := range b {
		for a := range s {
			s[a] += int(channel(c, a))
		}
	}
	n := len(b)
	return color.RGBA{R: uint8((s[0] + n/2) / n), G: uint8((s[1] + n/2) / n), B: uint8((s[2] + n/2) / n), A: uint8((s[3] + n/2) / n)}
}

func nearest(pal []color.RGBA, c color.RGBA) int {
	best, dist := 0, 1<<30
	for i, p := range pal {
		d := 0
		for a := range 4 {
			v := int(channel(p, a)) - int(channel(c, a))
			d += v * v
		}
		if d < dist {
			best, dist = i, d
		}
	}
	return best
}
