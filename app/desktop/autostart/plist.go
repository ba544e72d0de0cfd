package autostart

import (
	"encoding/xml"
	"strings"
)

// launchAgent is the property list by which launchd starts a program at login
// (launchd.plist(5)).
func launchAgent(p Program) string {
	var b strings.Builder
	text := func(s string) {
		b.WriteString("<string>")
		if err := xml.EscapeText(&b, []byte(s)); err != nil {
			panic("autostart: a strings.Builder does not fail: " + err.Error())
		}
		b.WriteString("</string>\n")
	}
	b.WriteString(xml.Header + `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
<key>Label</key>
`)
	text(p.ID)
	b.WriteString("<key>ProgramArguments</key>\n<array>\n")
	for _, word := range append([]string{p.Path}, p.Args...) {
		text(word)
	}
	b.WriteString("</array>\n<key>RunAtLoad</key>\n<true/>\n<key>ProcessType</key>\n<string>Interactive</string>\n</dict>\n</plist>\n")
	return b.String()
}
