package emoji

import (
	"image/color"
	"testing"
)

func TestEveryEmojiHasAPictureANameAndACode(t *testing.T) {
	s := Load()
	n := 0
	see := func(e Emoji) {
		n++
		if id, ok := s.Lookup(e.Text); !ok || id != e.ID {
			t.Errorf("%q (%s) is not found", e.Text, e.Name)
		}
		clusters := 0
		for range Clusters(e.Text) {
			clusters++
		}
		if clusters != 1 {
			t.Errorf("%q is %d characters", e.Text, clusters)
		}
		if n%40 == 0 { // decoding all takes seconds under the race detector
			img := s.Image(e.ID, 20)
			seen := 0
			for i := 3; i < len(img.Pix); i += 4 {
				seen += int(img.Pix[i])
			}
			if seen < 255*20 {
				t.Errorf("%q is an empty picture", e.Text)
			}
		}
	}
	for _, g := range s.Groups() {
		for _, e := range g.Emoji {
			see(e)
			if e.Name == "" || len(e.Codes) == 0 || e.Codes[0] == "" {
				t.Errorf("%q has no name or code", e.Text)
			}
			for _, v := range e.Tones {
				see(v)
			}
		}
	}
	if n < 3700 {
		t.Errorf("only %d emoji", n)
	}
}

func TestWhatIsAnEmoji(t *testing.T) {
	s := Load()
	for text, want := range map[string]bool{
		"👍": true, "👍🏽": true, "👨‍👩‍👧‍👦": true, "🇵🇱": true, "1️⃣": true, "❤️": true, "❤": true, "❤\ufe0e": false,
		"1": false, "#": false, "©": false, "©️": true, "⌚": true, "a": false, "": false, "é": false, "🇵": false, "☃️": true,
	} {
		if _, got := s.Lookup(text); got != want {
			t.Errorf("%q is an emoji: %v", text, got)
		}
	}
	for text, want := range map[string]int{"👍": 1, "👍 🎉\n": 2, "🎉🎉🎉": 3, "🎉🎉🎉🎉": 0, "hi 🎉": 0, "": 0} {
		if got := s.Only(text, 3); got != want {
			t.Errorf("%q is %d emoji alone, not %d", text, got, want)
		}
	}
}

func TestPeopleFindThem(t *testing.T) {
	s := Load()
	for query, want := range map[string]string{"+1": "👍", "heart": "❤️", "tada": "🎉", "thumbs up": "👍", "flag poland": "🇵🇱", ":pizza:": "🍕"} {
		got := s.Search(query, 20)
		found := false
		for _, e := range got {
			found = found || e.Text == want
		}
		if !found {
			t.Errorf("%q does not find %s but %d others", query, want, len(got))
		}
	}
	if got := s.Search("heart", 5); len(got) != 5 || got[0].Text != "❤️" {
		t.Errorf("the emoji of that very name is not first: %+v", got)
	}
	if s.Search("  ", 5) != nil || len(s.Search("zzzz", 5)) != 0 {
		t.Error("nothing finds something")
	}
	for text, want := range map[string]string{"yes :+1: :tada:": "yes 👍 🎉", "14:00:15": "14:00:15", "a:b :nope: c": "a:b :nope: c", "::heart::": ":❤️:", ":": ":"} {
		if got := s.Expand(text); got != want {
			t.Errorf("%q expands to %q, not %q", text, got, want)
		}
	}
}

func TestPicturesAreKeptAndForgotten(t *testing.T) {
	s := Load()
	first := s.Image(0, 20)
	if s.Image(0, 20) != first {
		t.Error("the same picture was made twice")
	}
	for id := range ID(cached + 10) {
		s.Image(id, 2)
	}
	if len(s.images) > cached || s.recent.Len() != len(s.images) {
		t.Errorf("%d pictures are kept", len(s.images))
	}
	if c := s.Image(0, 40).RGBAAt(20, 20); c == (color.RGBA{}) {
		t.Error("an empty picture")
	}
}

func TestDamagedFilesAreRefused(t *testing.T) {
	for _, c := range [][2]string{
		{"", ""}, {"", "\x00\x00\x00\x00"}, {"", "\x00\x00\x00\x01"}, {"1F600\ta\tb\tc\n", "\x00\x00\x00\x01\x00\x00\x00\x02x"},
		{"1F600\ta\tb\n", "\x00\x00\x00\x01\x00\x00\x00\x01x"}, {"XYZ\ta\tb\tc\n", "\x00\x00\x00\x01\x00\x00\x00\x01x"},
		{"1F600\t=\t\t\n", "\x00\x00\x00\x01\x00\x00\x00\x01x"}, {"1F600\ta\tb\tc\n1F601\ta\tb\tc\n", "\x00\x00\x00\x01\x00\x00\x00\x01x"},
	} {
		if _, err := parse(c[0], c[1]); err == nil {
			t.Errorf("%q was read", c)
		}
	}
}
