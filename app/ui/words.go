package ui

import (
	"context"
	"slices"
	"strconv"
	"time"

	"fyne.io/fyne/v2/container"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/ui/people"
	"github.com/godwit-im/godwit/app/ui/shell"
	"github.com/godwit-im/godwit/app/ui/task"
	"github.com/godwit-im/godwit/app/ui/theme"
	"github.com/godwit-im/godwit/app/ui/widget"
)

// The recovery words are offered once somebody has had a first conversation: before that
// there is little to lose, and nothing is asked. The offer is a card in the list that waits;
// it blocks nothing.

// wordsAgain is how long after Later they are offered again.
const wordsAgain = 7 * 24 * time.Hour

// talked is how many of the newest messages tell whether two have talked.
const talked = 50

// offerAfter looks whether a conversation that was just read was the first one: each of the two
// has written.
func (a *account) offerAfter(id string) {
	if a.look.Words != "" || a.status == nil || !a.status.Words || a.conversation(id).Kind != api.KindPerson {
		return
	}
	me := a.status.Account
	task.Load(a.work, func(ctx context.Context) ([]api.Message, error) {
		return a.b.Messages(ctx, api.MessagesRequest{Contact: id, Limit: talked})
	}, func(list []api.Message, err error) {
		by := func(author string) bool {
			return slices.ContainsFunc(list, func(m api.Message) bool { return m.Author == author && m.Kind == "text" })
		}
		if err == nil && a.look.Words == "" && by(me) && by(id) {
			a.wordsAre(shell.WordsOffered)
		}
	})
}

// wordsAre keeps what became of the recovery words, and shows or takes away the offer.
func (a *account) wordsAre(s shell.Words) {
	a.look.Words = s
	if s == shell.WordsLater {
		a.look.WordsAt = a.now().Add(wordsAgain)
	}
	a.keepLook()
	a.showOffer()
}

// showOffer shows the card in the list, if it is due.
func (a *account) showOffer() {
	due := a.look.Words == shell.WordsOffered || a.look.Words == shell.WordsLater && !a.now().Before(a.look.WordsAt)
	if due = due && a.status != nil && a.status.Words; due == a.offered {
		return
	}
	a.offered = due
	if !due {
		a.list.Offer(nil)
		return
	}
	l := a.l
	a.list.Offer(widget.Card("key", theme.Accent, l.T("Write down your 24 words"), l.T("They bring your account back if this computer is lost. Nobody else can."),
		widget.NewButton(l.T("Show the words"), widget.Plain, a.showWords), widget.NewButton(l.T("Later"), widget.Link, func() { a.wordsAre(shell.WordsLater) })))
}

// showWords shows the recovery words, after asking whether anybody else looks.
func (a *account) showWords() {
	people.ShowQuestion(a.win.Canvas(), a.l, a.l.T("Is nobody looking?"), a.l.T("Whoever sees the words can be you. Have paper and a pen ready."), a.l.T("Show the words"), func() {
		task.Load(a.work, func(ctx context.Context) (api.Phrase, error) { return a.b.Phrase(ctx, api.PhraseRequest{}) }, func(p api.Phrase, err error) {
			if err != nil {
				a.fail(err)
				return
			}
			a.wordsDialog(p.Words)
		})
	})
}

func (a *account) wordsDialog(words []string) {
	l := a.l
	grid := container.NewGridWithColumns(3)
	for i, w := range words {
		grid.Add(widget.Row(theme.Space3, widget.Exactly(22, 20, widget.NewText(strconv.Itoa(i+1), theme.TextCaption, theme.Faint)), widget.NewText(w, theme.TextBody, theme.Text).Mono()))
	}
	var d *widget.Dialog
	forget := widget.NewButton(l.T("Erase them here"), widget.Plain, func() {
		d.Close()
		people.ShowConfirm(a.win.Canvas(), l, l.T("Erase the words from this computer?"), l.T("They are then on your paper only. Your account goes on working."), l.T("Erase"), func() {
			task.Load(a.work, func(ctx context.Context) (api.Phrase, error) {
				return a.b.Phrase(ctx, api.PhraseRequest{Written: true})
			}, func(_ api.Phrase, err error) {
				if err != nil {
					a.fail(err)
					return
				}
				a.wordsAre(shell.WordsWritten)
				a.refreshStatus()
			})
		})
	})
	d = widget.ShowDialog(a.win.Canvas(), l.T("Recovery words"), l.T("Close"), 440,
		widget.Col(theme.Space5, widget.NewPara(l.T("Write them down in this order, and keep them where you keep what is dear to you."), theme.TextBody, theme.Dim), grid), nil,
		forget, widget.NewButton(l.T("I have written them down"), widget.Primary, func() {
			d.Close()
			a.wordsAre(shell.WordsWritten)
		}))
}
