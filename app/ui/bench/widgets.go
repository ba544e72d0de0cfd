package main

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/software"
	"fyne.io/fyne/v2/test"

	"github.com/godwit-im/godwit/app/ui/emoji"
	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/text"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/timeline"
)

// history is 100,000 messages, made as they are asked for.
type history struct{}

const length = 100_000

var said = []string{
	"ok", "See you at the harbour at seven 👍", "They did. Sending the edited set now, it is big but we are on the same Wi-Fi so it goes straight across.",
	"Look at https://godwit.example/start before you answer, *please*, and tell me what you think of the second part.",
	strings.Repeat("A longer thought about boats, weather and the way home. ", 9), "🎉🎉", "שלום! קיבלתי את ההודעה, תודה רבה 🎉", "one\ntwo\nthree",
}

func (history) message(i int) timeline.Message {
	m := timeline.Message{ID: strconv.Itoa(i), Author: "Anna", AuthorID: "anna", Time: time.Unix(1_700_000_000+int64(i)*97, 0), Text: said[i*7%len(said)]}
	if i*5%9 < 4 {
		m.Mine, m.State = true, timeline.Read
	}
	if i%11 == 0 {
		m.Reactions = []timeline.Reaction{{Emoji: "👍", Count: 2}}
	}
	if i%13 == 0 {
		m.Reply = &timeline.Quote{ID: strconv.Itoa(i / 2), Name: "Anna", Text: said[i%len(said)]}
	}
	return m
}

func (h history) Page(_ context.Context, r timeline.Request) (timeline.Page, error) {
	from, to := length-r.Limit, length
	if r.Before != "" {
		to, _ = strconv.Atoi(r.Before) // the ids are ours
		from = to - r.Limit
	} else if r.After != "" {
		from, _ = strconv.Atoi(r.After)
		from++
		to = from + r.Limit
	}
	from, to = max(0, from), min(length, to)
	p := timeline.Page{Older: from > 0, Newer: to < length}
	for i := from; i < to; i++ {
		p.Messages = append(p.Messages, h.message(i))
	}
	return p, nil
}

// window is where a Timeline is drawn, as much as a window with a GPU draws.
type window struct {
	t     *timeline.Timeline
	queue chan func()
	texts map[*canvas.Text]string // as they were drawn last
}

func (w *window) settle() {
	for {
		select {
		case f := <-w.queue:
			f()
		default:
			return
		}
	}
}

// draw walks over everything that is shown and draws what changed.
func (w *window) draw(o fyne.CanvasObject) {
	if !o.Visible() {
		return
	}
	switch o := o.(type) {
	case *canvas.Raster:
		o.Generator(int(o.Size().Width), int(o.Size().Height)) // kept, unless it changed
	case *canvas.Text:
		if w.texts[o] != o.Text {
			w.texts[o] = o.Text
			c := software.NewTransparentCanvas()
			c.SetContent(canvas.NewText(o.Text, o.Color))
			c.Capture()
		}
	case *fyne.Container:
		for _, c := range o.Objects {
			w.draw(c)
		}
	case fyne.Widget:
		for _, c := range test.WidgetRenderer(o).Objects() {
			w.draw(c)
		}
	}
}

func p99(all []time.Duration) float64 {
	slices.Sort(all)
	return ms(all[len(all)*99/100])
}

// widgets measures what is our own in the window, without a window.
func widgets() {
	test.NewApp().Settings().SetTheme(theme.New(theme.Light))
	fonts := text.NewFonts(theme.New(theme.Light), emoji.Load(), true)
	w := &window{queue: make(chan func(), 100), texts: map[*canvas.Text]string{}}
	w.t = timeline.New(timeline.Config{Fonts: fonts, Lang: lang.New("en"), Do: func(f func()) { w.queue <- f }})
	defer w.t.Close()
	win := test.NewWindow(w.t)
	defer win.Close()
	win.SetPadded(false)
	win.Resize(fyne.NewSize(880, 760))

	var opens []time.Duration
	for range 21 {
		start := time.Now()
		w.t.Open(timeline.Conversation{Source: history{}})
		w.settle()
		w.draw(w.t)
		opens = append(opens, time.Since(start))
		time.Sleep(5 * time.Millisecond) // for the page before
		w.settle()
	}
	first := opens[0]
	slices.Sort(opens)
	print("widget_open_ms", ms(opens[len(opens)/2]), "ms")
	print("widget_open_first_ms", ms(first), "ms")

	var steps []time.Duration
	for i := range 6000 {
		dy := float32(-60)
		if i >= 3500 {
			dy = 75
		}
		start := time.Now()
		w.settle()
		w.t.ScrollBy(dy)
		w.draw(w.t)
		steps = append(steps, time.Since(start))
		time.Sleep(50 * time.Microsecond) // for the source
	}
	print("widget_scroll_ms_p99", p99(steps), "ms")
	print("widget_scroll_ms_median", ms(steps[len(steps)/2]), "ms")

	steps = nil
	for i := range 100 {
		win.Resize(fyne.NewSize(880-float32(i)*3, 760))
		start := time.Now()
		w.t.Resize(fyne.NewSize(878-float32(i)*3, 760))
		w.draw(w.t)
		steps = append(steps, time.Since(start))
	}
	print("widget_resize_ms_p99", p99(steps), "ms")

	for _, h := range []struct{ name, text string }{
		{"line_1mb", strings.Repeat("x", 1<<20)},
		{"words_1mb", strings.Repeat("word ", 1<<18)},
		{"marks_10000", "e" + strings.Repeat("\u0301", 10_000)},
		{"overrides", strings.Repeat("\u202eabc\u2066def\u2069\u202d", 2000)},
		{"brackets", strings.Repeat("([{", 3000) + "שלום"},
		{"stars", strings.Repeat("*a _b `c ", 3000)},
		{"shell", strings.Repeat("$(calc) `reboot` ![](http://192.0.2.1/x.png) ", 500)},
		{"controls", strings.Repeat("\x00\x1b[31m\x07\x7f\u0085", 5000)},
		{"emoji_5000", strings.Repeat("👩‍🚀👍🏽🇵🇱1️⃣❤️", 1000)},
		{"links", strings.Repeat("https://xn--80ak6aa92e.example/a?b=c ", 500)},
		{"scripts", strings.Repeat("aбγאبकไ日한🎉", 2000)},
	} {
		var all []time.Duration
		for range 9 {
			start := time.Now()
			d := text.Parse(h.text, text.Options{Emoji: fonts.Emoji()})
			b := text.NewBlock(fonts)
			b.Set(fonts.Layout(d, theme.TextBody, theme.BubbleMax), text.Colours{Text: theme.Color(theme.Text), Link: theme.Color(theme.Accent), Faint: theme.Color(theme.Dim)}, theme.BubbleMax)
			for _, o := range b.Objects() {
				w.draw(o)
			}
			all = append(all, time.Since(start))
		}
		slices.Sort(all)
		print("hostile_"+h.name+"_ms", ms(all[len(all)/2]), "ms")
	}
}
