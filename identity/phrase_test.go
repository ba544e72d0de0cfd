package identity

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestBIP39(t *testing.T) {
	var file map[string][][4]string
	othersVectors(t, "bip39/vectors.json", &file)
	if len(file["english"]) != 24 {
		t.Errorf("%d English vectors, want 24", len(file["english"]))
	}
	long := 0
	for i, v := range file["english"] {
		entropy, err := hex.DecodeString(v[0])
		if err != nil {
			t.Fatal(err)
		}
		words := strings.Fields(v[1])
		if got := encodePhrase(entropy); !slices.Equal(got, words) {
			t.Errorf("%d: words %v, want %v", i, got, words)
		}
		if got, err := decodePhrase(words); err != nil || !slices.Equal(got, entropy) {
			t.Errorf("%d: entropy %x, %v, want %x", i, got, err, entropy)
		}
		if got := hex.EncodeToString(phraseSeed(words, "TREZOR")); got != v[2] {
			t.Errorf("%d: seed %s, want %s", i, got, v[2])
		}
		if len(entropy) == 32 {
			long++
			if got, err := ParsePhrase(v[1]); err != nil || got != [32]byte(entropy) {
				t.Errorf("%d: %x, %v", i, got, err)
			}
			if got := Phrase([32]byte(entropy)); !slices.Equal(got, words) {
				t.Errorf("%d: %v", i, got)
			}
		}
	}
	if long != 8 {
		t.Errorf("%d vectors of 24 words, want 8", long)
	}
}

func TestWordList(t *testing.T) {
	list := wordList()
	if len(list) != 2048 || !slices.IsSorted(list) {
		t.Fatalf("%d words, sorted %v", len(list), slices.IsSorted(list))
	}
	prefixes := map[string]bool{}
	for _, w := range list {
		prefixes[w[:min(4, len(w))]] = true
	}
	if len(prefixes) != 2048 {
		t.Errorf("four letters name %d words of 2048", len(prefixes))
	}
}

// Alice wrote her words down by hand and types them in on a new computer.
func TestAliceTypesHerWords(t *testing.T) {
	entropy := [32]byte{1, 2, 3}
	words := Phrase(entropy)
	upper := " " + strings.ToUpper(strings.Join(words, "\n\t")) + "\n"
	if got, err := ParsePhrase(upper); err != nil || got != entropy {
		t.Errorf("in capitals, a line each: %v", err)
	}

	typo := slices.Clone(words)
	typo[6] = "abandom"
	var wrong *WordError
	if _, err := ParsePhrase(strings.Join(typo, " ")); !errors.As(err, &wrong) || !errors.Is(err, ErrPhrase) {
		t.Fatalf("a typo gives %v", err)
	}
	if wrong.Index != 7 || wrong.Word != "abandom" || !slices.Equal(wrong.Near, []string{"abandon"}) {
		t.Errorf("a typo in word 7 is reported as %+v", *wrong)
	}

	if _, err := ParsePhrase(strings.Join(words[:23], " ")); !errors.Is(err, ErrPhrase) || !strings.Contains(err.Error(), "23") {
		t.Errorf("a word left out gives %v", err)
	}
	swapped := slices.Clone(words)
	swapped[0], swapped[23] = swapped[23], swapped[0]
	if _, err := ParsePhrase(strings.Join(swapped, " ")); !errors.Is(err, ErrPhrase) {
		t.Errorf("two words swapped give %v", err)
	}
	if _, err := ParsePhrase(strings.Repeat("abandon ", 1<<20)); !errors.Is(err, ErrPhrase) {
		t.Errorf("a megabyte gives %v", err)
	}
}

func TestNearestWords(t *testing.T) {
	for typed, want := range map[string]string{
		"zooo": "zoo", "aple": "able", "accident1": "accident", "wrogn": "wrong", "Ünfold": "unfold", "beyo": "beyond",
	} {
		if near := nearest(wordList(), strings.ToLower(typed)); !slices.Contains(near, want) || len(near) > 3 {
			t.Errorf("%q: %v, want %q among at most three", typed, near, want)
		}
	}
	if near := nearest(wordList(), "xxxxxxxxxxxx"); len(near) != 0 {
		t.Errorf("nonsense is near %v", near)
	}
}

func FuzzParsePhrase(f *testing.F) {
	f.Add(strings.Join(Phrase([32]byte{}), " "))
	f.Add(strings.Join(Phrase([32]byte{255, 1}), "  "))
	f.Add(strings.Repeat("zoo ", 24))
	f.Add("abandon \xff\xfe")
	f.Fuzz(func(t *testing.T, words string) {
		entropy, err := ParsePhrase(words)
		if err != nil {
			if !errors.Is(err, ErrPhrase) || len(err.Error()) > 300 {
				t.Fatalf("error %q", err)
			}
			return
		}
		if got := strings.Join(Phrase(entropy), " "); got != strings.Join(strings.Fields(strings.ToLower(words)), " ") {
			t.Fatalf("%q reads as %q", words, got)
		}
	})
}
