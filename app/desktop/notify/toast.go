package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"strings"
)

// toastXML is a note in the XML of Windows' toasts (toast schema, ToastGeneric). A
// click starts the program of the target's scheme with it.
func toastXML(n Note) string {
	var b strings.Builder
	text := func(s string) {
		// What XML cannot hold became U+FFFD or is gone already, see plain.
		if err := xml.EscapeText(&b, []byte(s)); err != nil {
			panic("notify: a strings.Builder does not fail: " + err.Error())
		}
	}
	b.WriteString(`<toast activationType="protocol" launch="`)
	text(n.Target)
	b.WriteString(`"><visual><binding template="ToastGeneric"><text>`)
	text(plain(n.Title, maxTitle))
	b.WriteString(`</text><text>`)
	text(plain(n.Body, maxBody))
	b.WriteString(`</text></binding></visual></toast>`)
	return b.String()
}

// tag names a note's key where its length is bounded: 16 characters, the least that any
// Windows takes.
func tag(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:8])
}
