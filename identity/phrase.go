package identity

import (
	"crypto/hkdf"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// PhraseWords is the count of an account's recovery words.
const PhraseWords = 24

// ErrPhrase says that words are not a recovery phrase. A *WordError wraps it
// where one word is to blame.
var ErrPhrase = errors.New("identity: not a recovery phrase")

// WordError names the word of a phrase that is not in the list.
type WordError struct {
	Index int      // counts from 1
	Word  string   // as typed, at most 20 bytes of it
	Near  []string // words of the list that it may have been, nearest first, at most 3
}

// Error says which word is wrong and what it may have been.
func (e *WordError) Error() string {
	s := fmt.Sprintf("%v: word %d, %q, is not in the list", ErrPhrase, e.Index, e.Word)
	if len(e.Near) > 0 {
		s += "; did you mean " + strings.Join(e.Near, " or ") + "?"
	}
	return s
}

// Unwrap gives ErrPhrase.
func (e *WordError) Unwrap() error { return ErrPhrase }

// english is the English word list of BIP 39: 2,048 words in order, a line each.
//
//go:embed english.txt
var english string

func wordList() []string { return strings.Fields(english) }

// NewEntropy makes the entropy of a new account.
func NewEntropy() [32]byte { return random() }

// Phrase is the entropy as 24 words (BIP 39, English).
func Phrase(entropy [32]byte) []string { return encodePhrase(entropy[:]) }

// ParsePhrase reads 24 words, in any case, with any white space between them.
// Its errors wrap ErrPhrase, as a *WordError where one word is to blame.
func ParsePhrase(words string) ([32]byte, error) {
	// 24 words of 8 letters are 215 bytes; a megabyte pasted by mistake is
	// not worth splitting.
	if len(words) > 4096 {
		return [32]byte{}, fmt.Errorf("%w: too long", ErrPhrase)
	}
	list := strings.Fields(strings.ToLower(words))
	if len(list) != PhraseWords {
		return [32]byte{}, fmt.Errorf("%w: %d words where %d are wanted", ErrPhrase, len(list), PhraseWords)
	}
	entropy, err := decodePhrase(list)
	if err != nil {
		return [32]byte{}, err
	}
	return [32]byte(entropy), nil
}

// RootFromEntropy is the account's ROOT key: HKDF-SHA512 of the BIP 39 seed of
// the words, without a passphrase of BIP 39. It takes a millisecond.
func RootFromEntropy(entropy [32]byte) RootPrivate {
	seed, err := hkdf.Key(sha512.New, phraseSeed(Phrase(entropy), ""), nil, "godwit/1/root", KeySize)
	if err != nil {
		panic("identity: HKDF gives 32 bytes: " + err.Error())
	}
	return NewRootPrivate([KeySize]byte(seed))
}

// encodePhrase cuts entropy ‖ SHA-256(entropy)[:len/4 bits] into words of 11
// bits. The entropy is 16 to 32 bytes, a multiple of 4.
func encodePhrase(entropy []byte) []string {
	list := wordList()
	sum := sha256.Sum256(entropy)
	bits := append(slices.Clone(entropy), sum[0])
	words := make([]string, len(entropy)*3/4)
	for w := range words {
		var index int
		for i := w * 11; i < w*11+11; i++ {
			index = index<<1 | int(bits[i/8]>>(7-i%8)&1)
		}
		words[w] = list[index]
	}
	return words
}

// decodePhrase undoes encodePhrase.
func decodePhrase(words []string) ([]byte, error) {
	list := wordList()
	bits := make([]byte, len(words)*11/8+1)
	for w, word := range words {
		index, ok := slices.BinarySearch(list, word)
		if !ok {
			return nil, &WordError{w + 1, truncate(word, 20), nearest(list, word)}
		}
		for i := range 11 {
			at := w*11 + i
			bits[at/8] |= byte(index>>(10-i)&1) << (7 - at%8)
		}
	}
	entropy := bits[:len(words)*4/3]
	if !slices.Equal(encodePhrase(entropy), words) {
		return nil, fmt.Errorf("%w: every word is in the list, but they do not fit together: a wrong word, or a wrong order", ErrPhrase)
	}
	return entropy, nil
}

// phraseSeed is the seed of BIP 39. English words are ASCII, so that its
// normalisation has nothing to do.
func phraseSeed(words []string, passphrase string) []byte {
	seed, err := pbkdf2.Key(sha512.New, strings.Join(words, " "), []byte("mnemonic"+passphrase), 2048, 64)
	if err != nil {
		panic("identity: PBKDF2 gives 64 bytes: " + err.Error())
	}
	return seed
}

// nearest lists up to three words that a mistyped one may have been: the one
// that shares its first four letters, which name a word of the list, or else
// those that are fewest slips away, two at most.
func nearest(list []string, word string) []string {
	if len(word) > 20 {
		return nil
	}
	best := 2
	var near []string
	for _, candidate := range list {
		slips := distance(word, candidate)
		if len(word) >= 4 && strings.HasPrefix(candidate, word[:4]) {
			slips = 0
		}
		if slips < best {
			best, near = slips, nil
		}
		if slips == best && len(near) < 3 {
			near = append(near, candidate)
		}
	}
	return near
}

// distance counts the slips from one word to another: letters left out, added,
// mistaken, or two neighbours swapped (optimal string alignment).
func distance(a, b string) int {
	var row [3][]int // of the letters before the last, up to the last, and up to this one
	for i := range row {
		row[i] = make([]int, len(b)+1)
	}
	for j := range row[2] {
		row[2][j] = j
	}
	for i := range len(a) {
		row[0], row[1], row[2] = row[1], row[2], row[0]
		row[2][0] = i + 1
		for j := range len(b) {
			mistaken := row[1][j]
			if a[i] != b[j] {
				mistaken++
			}
			d := min(row[1][j+1]+1, row[2][j]+1, mistaken)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				d = min(d, row[0][j-1]+1)
			}
			row[2][j+1] = d
		}
	}
	return row[2][len(b)]
}
