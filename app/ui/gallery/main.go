// Command gallery draws the widgets that are our own into PNGs, without a display, for
// eyes to compare with the design:
//
//	go run -tags no_emoji ./app/ui/gallery DIR
//
// It writes chat-light.png, chat-dark.png and the like. The fonts of the system are
// used for scripts that ours lack, so the pictures differ a little between computers.
package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/software"
	"fyne.io/fyne/v2/test"

	"github.com/godwit-im/godwit/app/ui/compose"
	"github.com/godwit-im/godwit/app/ui/emoji"
	"github.com/godwit-im/godwit/app/ui/lang"
	"github.com/godwit-im/godwit/app/ui/text"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/timeline"
	parts "github.com/godwit-im/godwit/app/ui/widget"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gallery:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: gallery DIR")
	}
	a := test.NewApp()
	for _, mode := range []theme.Mode{theme.Light, theme.Dark} {
		th := theme.New(mode)
		a.Settings().SetTheme(th)
		fonts := text.NewFonts(th, emoji.Load(), true)
		for _, p := range []struct {
			name          string
			width, height float32
			scale         float32
			messages      []timeline.Message
			change        func(*timeline.Timeline)
		}{
			{"chat", 780, 640, 1, sketch(), nil},
			{"scripts", 780, 760, 1, scripts(), nil},
			{"acts", 780, 900, 1, acts(), nil},
			{"picking", 480, 640, 1, acts(), func(t *timeline.Timeline) { t.StartPicking("a3") }},
			{"narrow", 420, 700, 1, append(sketch(), scripts()...), nil},
			{"fine", 560, 420, 2, scripts(), nil},
			{"scaled", 560, 420, 1.25, scripts(), nil},
		} {
			img := chat(fonts, p.messages, fyne.NewSize(p.width, p.height), p.scale, p.change)
			if err := write(filepath.Join(args[0], p.name+"-"+string(mode)+".png"), img); err != nil {
				return err
			}
		}
		for name, img := range map[string]image.Image{"composer": composers(fonts), "emoji": picker(fonts)} {
			if err := write(filepath.Join(args[0], name+"-"+string(mode)+".png"), img); err != nil {
				return err
			}
		}
	}
	return nil
}

// composers shows a Composer in each of its states.
func composers(fonts *text.Fonts) image.Image {
	var all []fyne.CanvasObject
	for _, change := range []func(*compose.Composer){
		func(c *compose.Composer) { c.Note("Encrypted") },
		func(c *compose.Composer) { c.Insert("See you at the harbour at seven :tada:") },
		func(c *compose.Composer) {
			c.Reply("1", "Anna Kowalczyk", "They did. Sending the edited set now 👍, it is big but we are on the same Wi-Fi so it goes straight across.")
		},
		func(c *compose.Composer) { c.Edit("1", "One line\nand another\nand a third") },
		func(c *compose.Composer) { c.Insert(strings.Repeat("Many words to fill lines. ", 40)) },
		func(c *compose.Composer) { c.Disable("Anna's key has changed. Verify her again before you write.") },
	} {
		c := compose.New(compose.Config{Fonts: fonts, Lang: lang.New("en"), Limit: 1000})
		c.Open("Anna", "")
		all = append(all, parts.Inset(20, 14, 20, 14, c))
		c.Resize(fyne.NewSize(660, 44))
		change(c)
	}
	w := test.NewWindow(container.NewStack(canvas.NewRectangle(theme.Color(theme.Canvas)), container.NewVBox(all...)))
	defer w.Close()
	w.SetPadded(false)
	w.Resize(fyne.NewSize(700, 600))
	return w.Canvas().Capture()
}

// picker shows the emoji.
func picker(fonts *text.Fonts) image.Image {
	p := emoji.NewPicker(fonts.Emoji(), lang.New("en"), []string{"👍", "❤️", "😂", "🎉"}, func(string) {})
	w := test.NewWindow(container.NewStack(canvas.NewRectangle(theme.Color(theme.Canvas)), p))
	defer w.Close()
	w.SetPadded(false)
	w.Resize(p.MinSize())
	return w.Canvas().Capture()
}

func write(file string, img image.Image) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := png.Encode(f, img); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// pages is a Source of a few messages.
type pages []timeline.Message

func (p pages) Page(context.Context, timeline.Request) (timeline.Page, error) {
	return timeline.Page{Messages: p}, nil
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func chat(fonts *text.Fonts, messages []timeline.Message, size fyne.Size, scale float32, change func(*timeline.Timeline)) image.Image {
	done := make(chan func(), 8)
	t := timeline.New(timeline.Config{Fonts: fonts, Lang: lang.New("en"), Do: func(f func()) { done <- f }, Now: func() time.Time { return noon }})
	defer t.Close()
	w := test.NewWindow(container.NewStack(canvas.NewRectangle(theme.Color(theme.Canvas)), t))
	defer w.Close()
	w.SetPadded(false)
	w.Canvas().(software.WindowlessCanvas).SetScale(scale)
	w.Resize(size)
	t.Open(timeline.Conversation{Source: pages(messages)})
	(<-done)()
	if change != nil {
		change(t)
	}
	return w.Canvas().Capture()
}

// say is a message; lines of the same author follow each other by a minute.
func say(id string, minute int, mine bool, words string) timeline.Message {
	m := timeline.Message{ID: id, Mine: mine, Author: "Anna", AuthorID: "anna", Time: noon.Add(time.Duration(minute-180) * time.Minute), Text: words}
	if mine {
		m.AuthorID, m.State = "", timeline.Read
	}
	return m
}

func with(m timeline.Message, change func(*timeline.Message)) timeline.Message {
	change(&m)
	return m
}

// sketch is the conversation of the design.
func sketch() []timeline.Message {
	return []timeline.Message{
		say("s1", 12, false, "Morning! Did the boat recordings make it over? 🎧"),
		say("s2", 12, false, "I can meet at 14:00 if the ferry is on time."),
		say("s3", 15, true, "They did. Sending the edited set now, it is big but we are on the same Wi-Fi so it goes straight across."),
		say("s4", 15, true, "14:00 works 👍"),
		with(say("s5", 28, true, "Great. I'll leave the letter for the co-op in Mail so it is there when they come online."), func(m *timeline.Message) { m.State = timeline.Delivered }),
		with(say("s6", 29, true, "こんにちは、שלום, مرحبا — names should just work 🇵🇱👩‍🚀"), func(m *timeline.Message) { m.State = timeline.Kept; m.Words = "Kept at 2 relays" }),
		with(say("s7", 35, true, "See you there"), func(m *timeline.Message) { m.State = timeline.Waiting; m.Words = "Waiting on this device" }),
	}
}

func scripts() []timeline.Message {
	return []timeline.Message{
		say("t1", 40, false, "أهلاً بك في Godwit، كيف حالك؟ لدي 3 رسائل (جديدة) لك، وسأصل غداً في الساعة 14:30 إن شاء الله."),
		say("t2", 41, true, "שלום! קיבלתי את ההודעה (כולל 2 תמונות), תודה רבה 🎉 נדבר מחר."),
		say("t3", 42, false, "駅の前で午後三時に会いましょう。雨が降ったら、カフェの中で待っていますね。"),
		say("t4", 43, true, "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft ist *ein* Wort."),
		say("t5", 44, false, "👨‍👩‍👧‍👦 🇵🇱 1️⃣ ❤️ 👍🏽 🏴󠁧󠁢󠁳󠁣󠁴󠁿 in a sentence"),
		say("t6", 45, true, "👍"),
		say("t7", 46, false, "🎉🎉🎉"),
		say("t8", 47, true, "Look: https://godwit.example/start?from=anna, `make run`, _today_\n> and what you said before\nYes."),
	}
}

func acts() []timeline.Message {
	return []timeline.Message{
		with(say("n1", 50, false, "Anna set messages to disappear after a week"), func(m *timeline.Message) { m.Kind = timeline.Notice }),
		with(say("a1", 51, false, "Who brings the tent?"), func(m *timeline.Message) {
			m.Reactions = []timeline.Reaction{{Emoji: "👍", Count: 2, Mine: true}, {Emoji: "⛺", Count: 1}}
		}),
		with(say("a2", 52, true, "I do, and the stove."), func(m *timeline.Message) {
			m.Reply = &timeline.Quote{ID: "a1", Name: "Anna", Text: "Who brings the tent?"}
			m.Disappears = noon.Add(time.Hour)
		}),
		with(say("a3", 53, false, "Perfect. Then I take food for three days, and the maps that Tomás printed for us last year, when we could not find the harbour."), func(m *timeline.Message) {
			m.Reply = &timeline.Quote{ID: "s3", Name: "You", Text: "They did. Sending the edited set now, it is big but we are on the same Wi-Fi so it goes straight across, and a few words more, so that two lines are not enough for it."}
			m.Edited = true
		}),
		with(say("a4", 54, true, "gone"), func(m *timeline.Message) { m.Deleted = true }),
		with(say("a5", 55, true, "Not here yet"), func(m *timeline.Message) { m.State = timeline.Failed; m.Words = "Not delivered: expired 6 Dec" }),
		with(say("a6", 56, false, strings.Repeat("A very long text, of which only the beginning is shown until somebody asks for more. ", 400)), func(m *timeline.Message) { m.Starred = true }),
		with(say("a7", 57, true, "ok"), func(m *timeline.Message) {
			m.Reactions = []timeline.Reaction{{Emoji: "❤️", Count: 1}, {Emoji: "😂", Count: 12}, {Emoji: "🎉", Count: 1}}
		}),
	}
}
