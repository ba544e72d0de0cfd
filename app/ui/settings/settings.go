// Package settings shows what a person can set: a few pages, or what a search finds in
// all of them. Under the name of each setting stands what it does in a plain sentence;
// a dot says that it was changed from the usual. A change holds at once.
//
// What there is to set, and how it is kept, comes from outside as Pages.
package settings

import "strings"

// MaxPages is the most pages there are: more than a person takes in at a glance is a
// cupboard.
const MaxPages = 7

// Page is settings that belong together.
type Page struct {
	ID    string // stable
	Icon  string
	Name  string
	Items []Item
}

// Item is one setting, or something to do. One of Switch, Choice, Number and Do is set;
// with none of them it only tells something.
type Item struct {
	ID   string // stable, and of one item alone
	Name string
	Help string // a sentence: what it does, or what holds

	Switch *Switch
	Choice *Choice
	Number *Number
	Do     *Action
}

// Switch is on or off.
type Switch struct {
	On, Usual bool
	Set       func(bool)
}

// Choice is one of several.
type Choice struct {
	Names     []string
	At, Usual int
	Set       func(int)
}

// Number is within bounds, in steps.
type Number struct {
	Value, Usual, Min, Max, Step int
	Text                         func(int) string // as it is shown
	Set                          func(int)
}

// Action is something to do.
type Action struct {
	Text   string
	Danger bool
	Run    func()
}

// Changed says whether an item is other than usual.
func (i Item) Changed() bool {
	switch {
	case i.Switch != nil:
		return i.Switch.On != i.Switch.Usual
	case i.Choice != nil:
		return i.Choice.At != i.Choice.Usual
	case i.Number != nil:
		return i.Number.Value != i.Number.Usual
	}
	return false
}

// kind is the shape of an item: what its row is made of.
func (i Item) kind() string {
	switch {
	case i.Switch != nil:
		return "switch"
	case i.Choice != nil:
		return "choice " + strings.Join(i.Choice.Names, "\x00")
	case i.Number != nil:
		return "number"
	case i.Do != nil:
		return "do"
	}
	return "tells"
}

// Find gives the pages with the items that have all words of a query in their name,
// their sentence, their choices or the name of their page. An empty query finds all.
func Find(pages []Page, query string) (found []Page) {
	words := strings.Fields(strings.ToLower(query))
	for _, p := range pages {
		var items []Item
		for _, i := range p.Items {
			text := p.Name + "\n" + i.Name + "\n" + i.Help
			if i.Choice != nil {
				text += "\n" + strings.Join(i.Choice.Names, "\n")
			}
			if i.Do != nil {
				text += "\n" + i.Do.Text
			}
			if hasAll(strings.ToLower(text), words) {
				items = append(items, i)
			}
		}
		if len(items) > 0 {
			p.Items = items
			found = append(found, p)
		}
	}
	return found
}

func hasAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}
