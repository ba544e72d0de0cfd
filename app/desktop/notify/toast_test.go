package notify

import (
	"encoding/xml"
	"strings"
	"testing"
)

// Whatever people write, the toast has two texts and one target.
func TestToastsHoldTextOnly(t *testing.T) {
	for _, hostile := range []string{
		"hi", "", `</text><text>x`, `"/><audio src="file:///x"/>`, "]]>", "<![CDATA[", "&amp;&#0;", "$(calc)`'@\"\n\x00\x01\ufffe\xff", strings.Repeat("<", 1<<20),
	} {
		var got struct {
			Type   string   `xml:"activationType,attr"`
			Launch string   `xml:"launch,attr"`
			Texts  []string `xml:"visual>binding>text"`
		}
		doc := toastXML(Note{Title: hostile, Body: hostile, Target: "godwit:c#anna"})
		if err := xml.Unmarshal([]byte(doc), &got); err != nil {
			t.Errorf("%.40q: %v in %.200s", hostile, err, doc)
			continue
		}
		if got.Type != "protocol" || got.Launch != "godwit:c#anna" || len(got.Texts) != 2 || got.Texts[0] != plain(hostile, maxTitle) || got.Texts[1] != plain(hostile, maxBody) {
			t.Errorf("%.40q: %+.200v", hostile, got)
		}
		if strings.Count(doc, "<") != 10 {
			t.Errorf("%.40q: %.200s", hostile, doc)
		}
	}
}

func TestTagsAreShortAndDiffer(t *testing.T) {
	a, b := tag("chat "+strings.Repeat("a", 500)), tag("chat b")
	if len(a) != 16 || len(b) != 16 || a == b {
		t.Errorf("%q %q", a, b)
	}
}
