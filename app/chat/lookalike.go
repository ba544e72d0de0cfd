package chat

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/godwit-im/godwit/app/store"
)

// skeleton is what names that look alike have in common, in the manner of Unicode
// Technical Standard 39, section 4: two names may be taken for each other if their
// skeletons are the same. Folded are case, compatibility forms (letters in circles, for
// mathematics, of full width), accents, characters that do not show, white space and
// punctuation, and letters of other alphabets, small capitals and digits that are drawn as a
// Latin letter (see twins).
//
// It is a help for the eye and no proof. Of the some 6,000 pairs of the standard's table it knows
// those of names in Latin letters; it does not compare names in other writings among
// themselves beyond what is folded for all, and knows no words ("Anna (work)").
func skeleton(name string) string {
	twins := twins()
	var b strings.Builder
	for _, r := range norm.NFKD.String(name) {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me) || !visible(r) || unicode.IsSpace(r) || unicode.IsPunct(r):
		case twins[r] != 0:
			b.WriteRune(twins[r])
		default:
			b.WriteRune(r)
		}
	}
	s := norm.NFKD.String(cases.Fold().String(b.String()))
	// Capital I, small l and the digit 1 are one stroke in many fonts.
	return strings.NewReplacer("i", "l", "1", "l", "0", "o", "5", "s", "rn", "m", "vv", "w").Replace(s)
}

// twins are characters that are drawn as a Latin letter or as a digit.
func twins() map[rune]rune {
	m := make(map[rune]rune)
	for _, pair := range [...][2]string{
		// Cyrillic
		{"АВЕЗІЈКМНОРСТУХЅҮԌӀѴԚԜЬ", "ABE3IJKMHOPCTYXSYGlVQWb"},
		{"авезіјкмнорстухѕүԍӏѵԛԝьгпһԁ", "abe3ijkmhopctyxsyglvqwbrnhd"},
		// Greek
		{"ΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹϳϲ", "ABEZHIKMNOPTYXCjc"},
		{"αβεζηικνορστυχγωϰ", "abeznikvopotuxywk"},
		// Armenian
		{"ոսօհցզյՍՏՕԼ", "nuohgqjUSOL"},
		// Cherokee
		{"ᎪᏴᏟᎠᎬᎻᎫᏦᏞᎷᏢᏚᎢᏙᏔᏃᏒᏀᎥᎩ", "ABCDEHJKLMPSTVWZRGiy"},
		// Latin: without a dot, of phonetics, small capitals, with a stroke
		{"ıȷɑɡɩɪɴʀʟʙʜᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢꜱƿþ", "ijagiinrlbhacdejkmoptuvwzspp"},
		{"łđøħŧƚǀ|ŁĐØĦŦ", "ldohtlllLDOHT"},
	} {
		to := []rune(pair[1])
		for i, r := range []rune(pair[0]) {
			m[r] = to[i]
		}
	}
	return m
}

// known are the contacts by the skeletons of what we call them.
type known map[string][]store.Contact

func knownNames(tx *store.Tx) (known, error) {
	people, err := tx.Contacts()
	k := make(known)
	for _, p := range people {
		if p.Petname != "" && p.Removed.IsZero() {
			s := skeleton(p.Petname)
			k[s] = append(k[s], p)
		}
	}
	return k, err
}

// like is what we call a contact, but for the one of the row, for whom somebody of this
// name could be taken; empty: nobody.
func (k known) like(name string, but int64) string {
	for _, p := range k[skeleton(name)] {
		if p.ID != but && name != "" {
			return p.Petname
		}
	}
	return ""
}

// LooksLike tells of contacts whom we have given no name, by their row ids, for whom else
// they could be taken by the names that they claim.
func LooksLike(tx *store.Tx, people []store.Contact) (map[int64]string, error) {
	k, err := knownNames(tx)
	if err != nil {
		return nil, err
	}
	marks := make(map[int64]string)
	for _, p := range people {
		if other := k.like(p.Name, p.ID); other != "" && p.Petname == "" {
			marks[p.ID] = other
		}
	}
	return marks, nil
}
