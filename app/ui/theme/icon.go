package theme

import (
	"fmt"
	"image/color"
	"strings"

	"fyne.io/fyne/v2"

	"github.com/godwit-im/godwit/assets"
)

// Icon is one of our icons (assets/icons) in one of the theme's colours, as it is
// at this moment: who shows it asks again in Refresh. The name must be there.
func Icon(name string, c fyne.ThemeColorName) fyne.Resource { return IconIn(name, Color(c)) }

// IconIn is Icon in any colour. Fyne's own tinting knows fills only, and ours are
// strokes.
func IconIn(name string, c color.Color) fyne.Resource {
	svg, err := assets.Icons.ReadFile("icons/" + name + ".svg")
	if err != nil {
		panic(err) // it is built in
	}
	n := color.NRGBAModel.Convert(c).(color.NRGBA)
	hex := fmt.Sprintf("#%02x%02x%02x", n.R, n.G, n.B)
	return fyne.NewStaticResource(name+hex+".svg", []byte(strings.ReplaceAll(string(svg), "currentColor", hex)))
}
