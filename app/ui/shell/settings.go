package shell

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/godwit-im/godwit/app/ui/theme"
)

// Look is how the window was left and how its owner likes it. It is kept in a file of
// its own, as JSON, replaced as a whole: what a screen looks like is no secret and no
// part of the account. Values out of range are taken as not said.
type Look struct {
	Width  float32    `json:"width"` // of the window, in px at scale 1
	Height float32    `json:"height"`
	List   float32    `json:"list"`  // width of the list
	Mode   theme.Mode `json:"mode"`  // light, dark or system
	Scale  int        `json:"scale"` // percent, 80 to 200 in steps of 10
	Lang   string     `json:"lang,omitempty"`
	Notify string     `json:"notify,omitempty"` // how much notifications tell: a notify.Level
	Tray   bool       `json:"tray,omitempty"`   // a window that is closed stays in the tray

	Words   Words     `json:"words,omitempty"`   // what became of the recovery words
	WordsAt time.Time `json:"words_at,omitzero"` // if WordsLater: when they are offered again
}

// Words is what became of the recovery words, so that they are offered in time and no more
// once they are on paper.
type Words string

// The zero value is that there was no reason yet to offer them.
const (
	WordsOffered Words = "offered"
	WordsLater   Words = "later"
	WordsWritten Words = "written"
)

// The bounds of Look.Scale.
const (
	MinScale  = 80
	MaxScale  = 200
	ScaleStep = 10
)

// fallback is the window before anybody changed it.
func fallback() Look {
	return Look{Width: 1100, Height: 760, List: theme.ListWidth, Mode: theme.System, Scale: 100}
}

// maxLook bounds the file, in bytes.
const maxLook = 1 << 16

// LoadLook reads a file of Save. One that is missing or damaged gives the usual look:
// no window is worth an error at the start.
func LoadLook(path string) Look {
	raw, err := os.ReadFile(path)
	if err != nil || len(raw) > maxLook {
		return fallback()
	}
	l := fallback()
	if json.Unmarshal(raw, &l) != nil {
		return fallback()
	}
	return l.sane()
}

func (l Look) sane() Look {
	f := fallback()
	within := func(v, low, high, usual float32) float32 {
		if v >= low && v <= high { // false for what is no number
			return v
		}
		return usual
	}
	l.Width = within(l.Width, theme.WindowMinW, 16384, f.Width)
	l.Height = within(l.Height, theme.WindowMinH, 16384, f.Height)
	l.List = within(l.List, theme.ListMin, theme.ListMax, f.List)
	if l.Mode != theme.Light && l.Mode != theme.Dark {
		l.Mode = theme.System
	}
	if l.Scale < MinScale || l.Scale > MaxScale || l.Scale%ScaleStep != 0 {
		l.Scale = f.Scale
	}
	return l
}

// Save keeps the look. A crash leaves the old file or the new one.
func (l Look) Save(path string) (err error) {
	raw, err := json.Marshal(l)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".window-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			if rm := os.Remove(f.Name()); !errors.Is(rm, fs.ErrNotExist) {
				err = errors.Join(err, rm)
			}
		}
	}()
	_, err = f.Write(append(raw, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
