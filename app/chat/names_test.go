package chat

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/store"
)

// Attack 16: names that would deceive whoever reads them, and some that would not.
func TestCheckName(t *testing.T) {
	for _, name := range []string{
		"Bob", "bob smith", "Ærøskøbing", "Zoë", "Σωκράτης", "李小龙", "محمد", "שרה", "नेहा", "o'Neill", "R2-D2",
		"👩‍👩‍👧", "👍🏽", "🏳️‍🌈", "❤️", "↔️", "christopherson", "Ana 🐦", strings.Repeat("x", 64),
	} {
		if err := CheckName(name); err != nil {
			t.Errorf("%q is refused: %v", name, err)
		}
	}
	for why, name := range map[string]string{
		"empty":                              "",
		"too long":                           strings.Repeat("x", 65),
		"not UTF-8":                          "bob\xff",
		"a line's end":                       "bob\nalice",
		"a tab":                              "bob\talice",
		"NUL":                                "bob\x00",
		"an escape sequence":                 "bob\x1b[2J",
		"C1 control":                         "bob\u0085",
		"white space at the end":             "bob ",
		"no-break space at the start":        "\u00a0bob",
		"right-to-left override":             "bob\u202egnp.exe",
		"left-to-right mark":                 "bob\u200e",
		"right-to-left isolate":              "\u2067bob\u2069",
		"Arabic letter mark":                 "bob\u061c",
		"zero-width space":                   "bo\u200bb",
		"zero-width non-joiner":              "bo\u200cb",
		"zero-width joiner after a letter":   "bob\u200d",
		"zero-width joiner at the start":     "\u200dbob",
		"word joiner":                        "bo\u2060b",
		"byte order mark":                    "\ufeffbob",
		"soft hyphen":                        "bo\u00adb",
		"line separator":                     "bob\u2028alice",
		"paragraph separator":                "bob\u2029alice",
		"combining grapheme joiner":          "bo\u034fb",
		"Hangul filler":                      "bob\u3164",
		"only a Hangul filler":               "\u3164",
		"halfwidth Hangul filler":            "bob\uffa0",
		"Hangul jungseong filler":            "bo\u1160b",
		"Khmer inherent vowel":               "bo\u17b4b",
		"Mongolian vowel separator":          "bo\u180eb",
		"Mongolian variation selector":       "bo\u180bb",
		"variation selector 1":               "bo\ufe00b",
		"variation selector 16 after letter": "bob\ufe0f",
		"variation selector 256":             "bob\U000e01ef",
		"tag":                                "bob\U000e0041",
		"interlinear annotation":             "bob\ufff9x",
		"private use":                        "bob\ue000",
		"noncharacter":                       "bob\uffff",
		"unassigned":                         "bob\U000e0fff",
		"Braille blank alone":                "\u2800",
		"like the start of an account id":    "aoh63anoc3jl",
	} {
		if CheckName(name) == nil {
			t.Errorf("%s: %q is taken", why, name)
		}
	}
}

// petname is what the person calls another.
func (p *person) petname(other *person) string { return p.contact(other).Petname }

// Attack 16: Mallory calls himself what Alice calls Bob, or nearly so. He is not
// called that; what he claims is kept as his claim.
func TestSomebodyElsesName(t *testing.T) {
	claims := map[string]string{
		"the same":                 "Bob Smith",
		"another case":             "bOB sMITH",
		"full width":               "Ｂｏｂ Ｓｍｉｔｈ",
		"mathematical letters":     "𝐁𝐨𝐛 𝐒𝐦𝐢𝐭𝐡",
		"long s":                   "Bob ſmith",
		"a no-break space":         "Bob\u00a0Smith",
		"a wide space":             "Bob\u3000Smith",
		"two spaces":               "Bob  Smith",
		"a zero-width joiner":      "Bob\u200d Smith",
		"an override":              "\u202ehtimS boB",
		"an invisible letter":      "Bob\u3164Smith",
		"the account id of Bob":    "BOB-ID",
		"the start of Bob's id":    "BOB-ID-START",
		"white space round it":     " Bob Smith ",
		"a variation selector":     "Bob\ufe0f Smith",
		"nothing but its controls": "\u200b\u200b",
	}
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob := w.Person("alice", oak), w.Person("Bob Smith", oak)
		alice.Meets(bob)
		if got := alice.petname(bob); got != "Bob Smith" {
			w.Fatalf("Bob is called %q", got)
		}
		id := bob.chain.Account().String()
		for why, name := range claims {
			name = strings.Replace(strings.Replace(name, "BOB-ID-START", id[:12], 1), "BOB-ID", id, 1)
			var mallory store.Contact
			claim := func(name string) {
				alice.must(func(t *turn) error { return alice.takeProfile(t, &mallory, content.Profile{Name: name}) })
			}
			alice.must(func(t *turn) (err error) {
				mallory = store.Contact{Kind: store.ContactNew, Created: t.now}
				rand.Read(mallory.Account[:])
				mallory.ID, err = t.InsertContact(mallory)
				return err
			})
			claim(name)
			if mallory.Petname != "" {
				w.Errorf("%s: Mallory is called %q", why, mallory.Petname)
			}
			if mallory.Name != name {
				w.Errorf("%s: Mallory's claim is kept as %q", why, mallory.Name)
			}
			if got := DisplayName(mallory); got == DisplayName(alice.contact(bob)) || strings.HasPrefix(id, got) {
				w.Errorf("%s: Mallory is shown as %q", why, got)
			}
			// A name of their own is fine, and a second claim does not change
			// what they are called.
			claim("Mallory " + why)
			claim("Mallory the Great")
			if mallory.Petname != "Mallory "+why {
				w.Errorf("%s: Mallory is called %q", why, mallory.Petname)
			}
		}
		if got := alice.petname(bob); got != "Bob Smith" {
			w.Errorf("Bob is called %q now", got)
		}
	})
}

// The petname that Alice chose is not changed by what its bearer claims, nor taken
// by who accepts her invitation under it.
func TestAPetnameStays(t *testing.T) {
	inWorld(t, func(w *world) {
		oak := w.Relay("oak")
		alice, bob, mallory := w.Person("alice", oak), w.Person("bob", oak), w.Person("mallory", oak)
		alice.Meets(bob)
		_, err := alice.ChangeContact(w.Context(), alice.contact(bob).ID, "renamed", func(c *store.Contact) error {
			c.Petname = "Bobby"
			return nil
		})
		w.check(err)
		bob.SendsItems(alice, item(content.KindProfile, []byte("Robert")))
		w.Advance(10 * time.Second)
		if got := alice.contact(bob); got.Petname != "Bobby" || got.Name != "Robert" {
			w.Errorf("Bob is called %q and calls himself %q", got.Petname, got.Name)
		}
		// Alice accepts an invitation of Mallory's and would call him Bobby too.
		if _, err := alice.Accept(w.Context(), mallory.Invites(), "BOBBY", ""); err == nil {
			w.Error("two people have one petname")
		}
		if alice.knows(mallory) {
			w.Error("Mallory is a contact although accepting failed")
		}
	})
}
