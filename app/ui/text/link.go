package text

import (
	"net"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// longestLink is how much of a text can be one, in bytes: what browsers accept.
const longestLink = 2048

// schemes that a link can have. Others are text: a program of the system would
// answer to them.
var schemes = []string{"https://", "http://", "mailto:", "godwit:"}

// Allowed tells whether an address is of a kind that may be opened.
func Allowed(address string) bool {
	_, _, n := findLink(address)
	return n > 0 && n == len(address)
}

// findLink finds a link at the start of a text: where it goes, how it is shown, and
// how many bytes it takes there.
func findLink(s string) (address, shown string, size int) {
	scheme := ""
	for _, p := range schemes {
		if len(s) > len(p) && strings.EqualFold(s[:len(p)], p) {
			scheme = p
		}
	}
	if scheme == "" {
		return "", "", 0
	}
	raw := s[:linkEnd(s[:min(len(s), longestLink)])]
	if len(raw) <= len(scheme) {
		return "", "", 0
	}
	if !strings.HasSuffix(scheme, "//") {
		u, err := url.Parse(raw)
		if err != nil || u.Opaque == "" && u.Path == "" && u.Host == "" || !ascii(raw) || scheme == "mailto:" && !letterOnly(u) {
			return "", "", 0
		}
		return raw, raw, len(raw)
	}
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return "", "", 0
	}
	host, wire, ok := showHost(u.Hostname())
	if !ok {
		return "", "", 0
	}
	// The host is the part that must not deceive: what stands before it as if it were
	// one (https://bank.example@evil.example/) is left out of what is shown.
	rest := raw[len(scheme):]
	authority := strings.IndexAny(rest, "/?#\\")
	if authority < 0 {
		authority = len(rest)
	}
	tail := rest[authority:]
	if port := u.Port(); port != "" {
		host += ":" + port
		wire += ":" + port
	}
	user := ""
	if u.User != nil {
		user = u.User.String() + "@"
	}
	return scheme + user + wire + tail, scheme + host + tail, len(raw)
}

// letterOnly says whether a mailto: link begins a letter and asks for nothing else: some mail
// programs attach files that a link names.
func letterOnly(u *url.URL) bool {
	fields, err := url.ParseQuery(u.RawQuery)
	for name := range fields {
		if !slices.Contains([]string{"to", "cc", "subject", "body"}, strings.ToLower(name)) {
			return false
		}
	}
	return err == nil
}

// linkEnd is where a link that begins a text ends: before a space or a control, a
// quotation mark or angle bracket, and before punctuation that ends the sentence.
func linkEnd(s string) int {
	end := strings.IndexFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || r == '"' || r == '<' || r == '>' || r == '`' || r == utf8.RuneError || !unicode.IsPrint(r)
	})
	if end < 0 {
		end = len(s)
	}
	for end > 0 {
		r, size := utf8.DecodeLastRuneInString(s[:end])
		switch {
		case strings.ContainsRune(".,;:!?'*_…。、’”", r):
		case r == ')' && strings.Count(s[:end], "(") < strings.Count(s[:end], ")"):
		case r == ']' && strings.Count(s[:end], "[") < strings.Count(s[:end], "]"):
		default:
			return end
		}
		end -= size
	}
	return end
}

// showHost is a host as people may see it, and as it is asked for: in Unicode if it
// cannot be taken for another, in punycode otherwise.
func showHost(host string) (shown, wire string, ok bool) {
	if ip := net.ParseIP(host); ip != nil {
		if strings.Contains(host, ":") {
			return "[" + host + "]", "[" + host + "]", true
		}
		return host, host, true
	}
	wire, err := idna.Lookup.ToASCII(host)
	if err != nil || wire == "" {
		return "", "", false
	}
	wire = strings.ToLower(wire)
	if uni, err := idna.Lookup.ToUnicode(wire); err == nil && honest(uni) {
		return uni, wire, true
	}
	return wire, wire, true
}

// honest tells whether a host is written so that nobody takes it for another: each
// label in one script, and those whose letters look like Latin ones, or that run the
// other way, only under a top level of their own.
func honest(host string) bool {
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	top := script(labels[len(labels)-1])
	for _, l := range labels {
		switch s := script(l); s {
		case "":
			return false
		case "Cyrillic", "Greek", "Armenian", "Cherokee", "Arabic", "Hebrew":
			if s != top {
				return false
			}
		}
	}
	return true
}

// script is that of the letters of a label: "" for a mix, or what is unusual.
func script(label string) string {
	found := "Common"
	for _, r := range label {
		if r < 0x80 && !unicode.IsLetter(r) {
			continue
		}
		s := scriptOf(r)
		switch {
		case s == "":
			return ""
		case s == "Common" || s == found:
		case found == "Common":
			found = s
		case found == "Japanese" && s == "Han", found == "Han" && s == "Japanese":
			found = "Japanese"
		default:
			return ""
		}
	}
	return found
}

func scriptOf(r rune) string {
	switch {
	case unicode.Is(unicode.Latin, r):
		// Phonetic and other letters that look like plain ones, or like a slash.
		if r > 0x17f && !strings.ContainsRune("ơưșț", r) || strings.ContainsRune("ıĸŀſŉ", r) {
			return ""
		}
		return "Latin"
	case unicode.Is(unicode.Cyrillic, r):
		return "Cyrillic"
	case unicode.Is(unicode.Greek, r):
		return "Greek"
	case unicode.Is(unicode.Armenian, r):
		return "Armenian"
	case unicode.Is(unicode.Cherokee, r):
		return "Cherokee"
	case unicode.In(r, unicode.Hiragana, unicode.Katakana) || r == 'ー':
		return "Japanese"
	case unicode.Is(unicode.Han, r):
		return "Han"
	case unicode.In(r, unicode.Arabic, unicode.Hebrew, unicode.Hangul, unicode.Thai, unicode.Devanagari, unicode.Bengali, unicode.Tamil, unicode.Georgian):
		for name, t := range map[string]*unicode.RangeTable{"Arabic": unicode.Arabic, "Hebrew": unicode.Hebrew, "Hangul": unicode.Hangul, "Thai": unicode.Thai, "Devanagari": unicode.Devanagari, "Bengali": unicode.Bengali, "Tamil": unicode.Tamil, "Georgian": unicode.Georgian} {
			if unicode.Is(t, r) {
				return name
			}
		}
	case unicode.IsDigit(r):
		return "Common"
	}
	return ""
}
