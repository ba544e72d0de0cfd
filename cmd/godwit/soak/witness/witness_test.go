package witness

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// story is a small transcript in which all is well: Anna says four things to Bob. The
// first comes directly; then Bob is killed, and the second and third are kept. Anna goes
// away, Bob returns and has them from the relays. Anna returns, and in the calm the
// fourth has come too.
func story() []Line {
	event := func(t float64, who string, run int, json string) Line {
		return Line{T: t, What: "saw", Who: who, Run: run, JSON: []byte(json)}
	}
	said := func(t float64, n int, state string) []Line {
		text := fmt.Sprintf("a%d", n)
		own := fmt.Sprintf(`{"event":"message","id":"m%d","author":"A","text":%q,"state":"queued"}`, n, text)
		return []Line{
			{T: t, What: "say", Who: "anna", To: "bob", N: n, Text: text},
			event(t+0.1, "anna", 1, own),
			{T: t + 0.2, What: "said", Who: "anna", To: "bob", N: n, Text: text, JSON: fmt.Appendf(nil, `{"id":"m%d","state":%q}`, n, state)},
		}
	}
	kept := func(t float64, n int) []Line {
		return []Line{
			event(t, "anna", 1, fmt.Sprintf(`{"event":"state","id":"m%d","state":"kept","relays":{"kept":2,"named":3,"wanted":3},"reason":"full (REL-09)"}`, n)),
			{T: t + 0.5, What: "trail", Who: "anna", ID: fmt.Sprintf("m%d", n), JSON: []byte(`[{"what":"queued"},
				{"what":"deposited","peer":"r1","proof":"good"},{"what":"deposited","peer":"r3","proof":"good"},{"what":"refused","peer":"r2"},{"what":"state","state":"kept"}]`)},
		}
	}
	list := func(l Line, states ...string) Line {
		var items []string
		for i, s := range states {
			state := ""
			switch {
			case s == "kept":
				state = `,"state":"kept","relays":{"kept":2,"named":3,"wanted":3},"reason":"full (REL-09)"`
			case s != "":
				state = fmt.Sprintf(`,"state":%q`, s)
			}
			items = append(items, fmt.Sprintf(`{"id":"m%d","author":"A","text":"a%d"%s}`, i+1, i+1, state))
		}
		l.JSON = []byte("[" + strings.Join(items, ",") + "]")
		return l
	}
	heard := func(t float64, run, n int) Line {
		return event(t, "bob", run, fmt.Sprintf(`{"event":"message","id":"m%d","author":"A","text":"a%d"}`, n, n))
	}
	return slices.Concat(
		[]Line{{What: "person", Who: "anna", ID: "A"}, {What: "person", Who: "bob", ID: "B"},
			{What: "relay", ID: "r1", Honest: true}, {What: "relay", ID: "r2", Honest: true}, {What: "relay", ID: "r3"}},
		said(1, 1, "queued"),
		[]Line{heard(1.3, 1, 1), event(1.4, "anna", 1, `{"event":"state","id":"m1","state":"delivered"}`),
			{T: 2, What: "killed", Who: "bob", Run: 1},
			list(Line{T: 2, What: "disk", Who: "bob", To: "anna"}, "")},
		said(3, 2, "queued"), kept(4, 2), said(5, 3, "queued"), kept(6, 3),
		said(7, 4, "queued"),
		[]Line{{T: 8, What: "killed", Who: "anna", Run: 1},
			list(Line{T: 8, What: "disk", Who: "anna", To: "bob"}, "delivered", "kept", "kept", "queued"),
			{T: 9, What: "absent", Who: "anna"},
			heard(10, 2, 2), heard(10, 2, 3),
			list(Line{T: 12, Begun: 11, What: "read", Who: "bob", To: "anna", Without: "anna"}, "", "", ""),
			event(13, "anna", 2, `{"event":"state","id":"m2","state":"delivered"}`),
			heard(14, 2, 4),
			list(Line{T: 21, Begun: 20, What: "read", Who: "anna", To: "bob", Calm: true}, "delivered", "delivered", "delivered", "delivered"),
			list(Line{T: 22, Begun: 21, What: "read", Who: "bob", To: "anna", Calm: true}, "", "", "", "")},
	)
}

func TestAllIsWell(t *testing.T) {
	findings, n := Judge(story())
	for _, f := range findings {
		t.Error(f)
	}
	want := Count{Said: 4, Taken: 4, Kept: 2, Delivered: 4, Claims: 17, Disks: 2, Reads: 3, Trails: 2, OnDisk: 11, Alone: 2}
	n.Claims, n.OnDisk = want.Claims, want.OnDisk // how many is of no matter
	if n != want {
		t.Errorf("it rests on %+v, want %+v", n, want)
	}
}

// edit changes the JSON of the lines that fit.
func edit(what, who string, begun float64, old, new string) func([]Line) []Line {
	return func(lines []Line) []Line {
		for i, l := range lines {
			if l.What == what && l.Who == who && (begun == 0 || l.Begun == begun || l.T == begun) && bytes.Contains(l.JSON, []byte(old)) {
				lines[i].JSON = bytes.Replace(l.JSON, []byte(old), []byte(new), 1)
				return lines
			}
		}
		panic("nothing fits " + old)
	}
}

// without removes a message from a conversation.
func without(what, who string, t float64, text string) func([]Line) []Line {
	return func(lines []Line) []Line {
		for i, l := range lines {
			if l.What == what && l.Who == who && l.T == t {
				var list []map[string]any
				if err := json.Unmarshal(l.JSON, &list); err != nil {
					panic(err)
				}
				n := len(list)
				list = slices.DeleteFunc(list, func(m map[string]any) bool { return m["text"] == text })
				if len(list) != n-1 {
					panic(text + " is not there")
				}
				lines[i].JSON, _ = json.Marshal(list)
				return lines
			}
		}
		panic("no such list")
	}
}

// add puts a line where it belongs.
func add(l Line) func([]Line) []Line {
	return func(lines []Line) []Line {
		at := slices.IndexFunc(lines, func(o Line) bool { return o.T > l.T })
		if at < 0 {
			at = len(lines)
		}
		return slices.Insert(lines, at, l)
	}
}

func both(all ...func([]Line) []Line) func([]Line) []Line {
	return func(lines []Line) []Line {
		for _, f := range all {
			lines = f(lines)
		}
		return lines
	}
}

// Each way to be wrong is found, by its rule.
func TestEachLieIsFound(t *testing.T) {
	saw := func(at float64, who string, run int, json string) func([]Line) []Line {
		return add(Line{T: at, What: "saw", Who: who, Run: run, JSON: []byte(json)})
	}
	for _, c := range []struct {
		name, rule string
		change     func([]Line) []Line
	}{
		{"what was delivered is not on the dead one's disk", Lost, without("disk", "bob", 2, "a1")},
		{"what was taken is not on its author's disk", Lost, without("disk", "anna", 8, "a4")},
		{"what was taken is not in its author's history", Lost, without("read", "anna", 21, "a3")},
		{"what was taken is nowhere", Lost, both(without("read", "anna", 21, "a4"), without("read", "bob", 22, "a4"), without("disk", "anna", 8, "a4"))},
		{"the last message never arrives", Lost, without("read", "bob", 22, "a4")},
		{"one in the middle never arrives", Lost, without("read", "bob", 22, "a2")},
		{"what was delivered is gone again", Lost, without("read", "bob", 12, "a1")},
		{"an honest relay keeps nothing", Lost, both(without("read", "bob", 12, "a2"), without("read", "bob", 12, "a3"))},
		{"one that was read is not its author's", Lost, both(without("disk", "anna", 8, "a4"), without("read", "anna", 21, "a4"))},
		{"it is there twice", Twice, edit("read", "bob", 21, `{"id":"m2"`, `{"id":"m1","author":"A","text":"a1"},{"id":"m2"`)},
		{"its author has it twice", Twice, edit("read", "anna", 20, `{"id":"m2"`, `{"id":"m1","author":"A","text":"a1","state":"delivered"},{"id":"m2"`)},
		{"it is announced twice", Twice, saw(15, "bob", 2, `{"event":"message","id":"m4","author":"A","text":"a4"}`)},
		{"it is announced again after a kill", Twice, saw(10.5, "bob", 2, `{"event":"message","id":"m1","author":"A","text":"a1"}`)},
		{"one text has two ids", Twice, edit("read", "anna", 20, `"m3"`, `"m33"`)},
		{"the order is another", Disorder, edit("read", "bob", 21, `{"id":"m1","author":"A","text":"a1"},{"id":"m2","author":"A","text":"a2"}`, `{"id":"m2","author":"A","text":"a2"},{"id":"m1","author":"A","text":"a1"}`)},
		{"its author has another order", Disorder, edit("read", "anna", 20, `{"id":"m1","author":"A","text":"a1","state":"delivered"},{"id":"m2","author":"A","text":"a2","state":"delivered"}`,
			`{"id":"m2","author":"A","text":"a2","state":"delivered"},{"id":"m1","author":"A","text":"a1","state":"delivered"}`)},
		{"nobody said it", Invented, edit("read", "bob", 21, `"a4"`, `"a5"`)},
		{"another said it", Invented, edit("read", "bob", 21, `"author":"A","text":"a4"`, `"author":"B","text":"a4"`)},
		{"nobody said what is announced", Invented, saw(15, "bob", 2, `{"event":"message","id":"m9","author":"A","text":"a9"}`)},
		{"it is kept by nobody's relay", Invented, edit("trail", "anna", 0, `"r1"`, `"r9"`)},
		{"delivered, then kept", Backward, saw(1.5, "anna", 1, `{"event":"state","id":"m1","state":"kept","relays":{"kept":3,"named":3,"wanted":3}}`)},
		{"delivered, then queued", Backward, saw(1.5, "anna", 1, `{"event":"state","id":"m1","state":"queued","reason":"(REL-14)"}`)},
		{"delivered, then failed", Backward, saw(1.5, "anna", 1, `{"event":"state","id":"m1","state":"failed","reason":"expired (MSG-05)"}`)},
		{"failed, then delivered", Backward, both(saw(7.5, "anna", 1, `{"event":"state","id":"m4","state":"failed","reason":"expired (MSG-05)"}`),
			saw(7.6, "anna", 1, `{"event":"state","id":"m4","state":"delivered"}`))},
		{"kept, then queued, for another reason", Backward, saw(7.5, "anna", 1, `{"event":"state","id":"m2","state":"queued","reason":"not reached (REL-06)"}`)},
		{"shown as delivered, on the disk kept", Untrue, edit("disk", "anna", 8, `"delivered"`, `"kept"`)},
		{"shown as kept, on the disk queued", Untrue, edit("disk", "anna", 8, `"kept","relays"`, `"queued","relays"`)},
		{"kept at fewer than it says", Unproven, edit("trail", "anna", 0, `"r1","proof":"good"`, `"r3","proof":"good"`)},
		{"a receipt that does not hold is counted", Unproven, edit("trail", "anna", 0, `"r1","proof":"good"`, `"r1","proof":"wrong"`)},
		{"kept by one of three", Unproven, edit("saw", "anna", 4, `"kept":2`, `"kept":1`)},
		{"kept by more than there are", Unproven, edit("saw", "anna", 4, `"kept":2,"named":3`, `"kept":3,"named":2`)},
		{"kept by nobody", Unproven, edit("saw", "anna", 4, `"relays":{"kept":2,"named":3,"wanted":3},`, ``)},
		{"delivered without an acknowledgement", Unproven, saw(4.2, "anna", 1, `{"event":"state","id":"m2","state":"delivered"}`)},
		{"kept by two for long, for no reason", Unsaid, saw(80, "anna", 1, `{"event":"state","id":"m2","state":"kept","relays":{"kept":2,"named":3,"wanted":3}}`)},
		{"a reason without a code", Unsaid, edit("saw", "anna", 4, `"full (REL-09)"`, `"full"`)},
		{"failed for no reason", Unsaid, saw(7.5, "anna", 1, `{"event":"state","id":"m4","state":"failed"}`)},
		{"queued for long, for no reason", Unsaid, add(Line{T: 80, Begun: 79, What: "read", Who: "anna", To: "bob", JSON: []byte(
			`[{"id":"m1","author":"A","text":"a1","state":"queued"},{"id":"m2","author":"A","text":"a2"},{"id":"m3","author":"A","text":"a3"},{"id":"m4","author":"A","text":"a4"}]`)})},
		{"nothing waits, and one is only kept", Unsettled, edit("read", "anna", 20, `"text":"a3","state":"delivered"`, `"text":"a3","state":"kept","relays":{"kept":3,"named":3,"wanted":3}`)},
		{"a state that is none", Garbled, edit("saw", "anna", 4, `"state":"kept"`, `"state":"lost"`)},
		{"no JSON", Garbled, edit("saw", "anna", 4, `{`, ``)},
	} {
		t.Run(c.name, func(t *testing.T) {
			findings, _ := Judge(c.change(story()))
			if !slices.ContainsFunc(findings, func(f Finding) bool { return f.Rule == c.rule }) {
				t.Errorf("%s is not found; found: %v", c.rule, findings)
			}
		})
	}
}

// What may be is not found.
func TestWhatMayBe(t *testing.T) {
	for name, change := range map[string]func([]Line) []Line{
		"kept, then queued, as the receipts ended": add(Line{T: 7.5, What: "saw", Who: "anna", Run: 1,
			JSON: []byte(`{"event":"state","id":"m2","state":"queued","reason":"(REL-14) A relay's promise has ended"}`)}),
		"a dishonest relay keeps nothing": both(edit("trail", "anna", 4.5, `"r1","proof":"good"`, `"r1","proof":""`), edit("trail", "anna", 6.5, `"r1","proof":"good"`, `"r1","proof":""`),
			edit("saw", "anna", 4, `"kept":2,"named":3`, `"kept":1,"named":1`), edit("saw", "anna", 6, `"kept":2,"named":3`, `"kept":1,"named":1`),
			without("read", "bob", 12, "a2"), without("read", "bob", 12, "a3")),
		"the relay lost its disk": both(add(Line{T: 8.5, What: "wiped", ID: "r1"}), without("read", "bob", 12, "a2"), without("read", "bob", 12, "a3")),
		"one behind another that is missing is hidden": both(edit("trail", "anna", 4.5, `"r1","proof":"good"`, `"r2","proof":"good"`), add(Line{T: 8.5, What: "wiped", ID: "r2"}),
			without("read", "bob", 12, "a2"), without("read", "bob", 12, "a3")),
		"one was cut short and is nowhere": add(Line{T: 7.9, What: "say", Who: "anna", To: "bob", N: 5, Text: "a5"}),
	} {
		t.Run(name, func(t *testing.T) {
			findings, _ := Judge(change(story()))
			for _, f := range findings {
				t.Error(f)
			}
		})
	}
}

func TestReadsWhatIsWritten(t *testing.T) {
	var b bytes.Buffer
	want := story()
	for _, l := range want {
		line, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	got, err := Read(&b)
	if err != nil || len(got) != len(want) || got[7].Text != want[7].Text {
		t.Fatalf("%d of %d lines, %v", len(got), len(want), err)
	}
	if _, err := Read(strings.NewReader("{}\n{")); err == nil {
		t.Fatal("half a line is read")
	}
}
