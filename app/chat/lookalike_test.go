package chat

import "testing"

// Names that a hurried reader takes for Anna's, Bob's or Alice's.
func TestNamesThatLookAlike(t *testing.T) {
	for _, pair := range [][2]string{
		{"Anna", "Anna"}, {"Anna", "anna"}, {"Anna", "ANNA "}, {"Anna", "An\u200bna"}, {"Anna", "\u202eanna"}, {"Anna", "Änna"},
		{"Anna", "Аnna"}, {"Anna", "Аппа"}, {"Anna", "Αnnα"}, {"Anna", "Ａｎｎａ"}, {"Anna", "𝐀𝐧𝐧𝐚"}, {"Anna", "ᎪNNᎪ"}, {"Anna", "Anna."}, {"Anna", "ᴀɴɴᴀ"},
		{"Bob", "B0b"}, {"Bob", "Воb"}, {"Bob", "ВОВ"}, {"Alice", "AIice"}, {"Alice", "A1ice"}, {"Alice", "Alісe"}, {"Alice", "A|ice"},
		{"Carmen", "Carrnen"}, {"Walter", "VValter"}, {"Paul", "Рaul"}, {"Moritz", "Μoritz"}, {"Lukas", "Łukas"}, {"Tom", "Τοm"},
	} {
		if a, b := skeleton(pair[0]), skeleton(pair[1]); a != b {
			t.Errorf("%q and %q do not look alike: %q, %q", pair[0], pair[1], a, b)
		}
	}
	for _, pair := range [][2]string{{"Anna", "Hanna"}, {"Anna", "Ana"}, {"Bob", "Rob"}, {"Alice", "Alina"}, {"Анна", "Инна"}, {"山田", "山本"}, {"Anna", ""}} {
		if a, b := skeleton(pair[0]), skeleton(pair[1]); a == b {
			t.Errorf("%q and %q look alike: %q", pair[0], pair[1], a)
		}
	}
	// A name looks like itself whatever was done to it already.
	for _, name := range []string{"Anna", "ВОВ", "Łukas", "A1ice Carrnen", "София"} {
		if once := skeleton(name); skeleton(once) != once {
			t.Errorf("the skeleton of %q is %q, and of that %q", name, once, skeleton(once))
		}
	}
}
