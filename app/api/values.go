package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Schema is the version of all JSON of ours. Every object carries it as its
// first field; it rises only when a field changes its meaning or goes away.
const Schema = 1

// timeForm is RFC 3339 in UTC with milliseconds.
const timeForm = "2006-01-02T15:04:05.000Z"

// Time is a moment, in JSON as RFC 3339 UTC with milliseconds.
type Time struct{ time.Time }

// MarshalText writes the moment.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// MarshalJSON writes the moment; it keeps time.Time's own form away.
func (t Time) MarshalJSON() ([]byte, error) { return []byte(`"` + t.String() + `"`), nil }

// String is the moment as RFC 3339 UTC with milliseconds.
func (t Time) String() string { return t.UTC().Format(timeForm) }

// UnmarshalJSON reads any RFC 3339 time.
func (t *Time) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	parsed, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return err
	}
	t.Time = parsed.UTC()
	return nil
}

// Duration is a length of time, in JSON as text such as "168h0m0s".
type Duration time.Duration

// MarshalText writes the length.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration knows and is not negative.
func (d *Duration) UnmarshalText(b []byte) error {
	parsed, err := time.ParseDuration(string(b))
	if err != nil {
		return err
	}
	if parsed < 0 {
		return fmt.Errorf("negative duration %s", parsed)
	}
	*d = Duration(parsed)
	return nil
}

// Encode writes a value as one line of JSON, without a line's end, with the
// schema as its first field. What a terminal would act upon is escaped: JSON itself
// asks that only of the controls below U+0020. A value that does not encode as an
// object is a fault of ours.
func Encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("api: encode %T: %w", v, err)
	}
	body := strings.TrimSuffix(buf.String(), "\n")
	if !strings.HasPrefix(body, "{") {
		return nil, fmt.Errorf("api: %T is not an object", v)
	}
	comma := ","
	if body == "{}" {
		comma = ""
	}
	return fmt.Appendf(nil, `{"schema":%d%s%s`, Schema, comma, escape(body[1:])), nil
}

// escape writes the characters of JSON that control a terminal or turn the direction
// of text as \u and four digits. They are only found inside of strings, where that is
// the same.
func escape(body string) string {
	controls := func(r rune) bool { return r >= 0x7f && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) }
	if !strings.ContainsFunc(body, controls) {
		return body
	}
	var b strings.Builder
	for _, r := range body {
		if controls(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
