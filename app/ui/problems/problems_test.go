package problems

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/ui/lang"
)

// elsewhere are the problems that only a command line, or the start of a program, ends
// with. A new one is listed here, or has its words in the window.
var elsewhere = []problem.Code{
	problem.Usage, problem.NotYet, problem.NoSuchID, problem.WaitTimedOut, problem.NoRelayHere,
	problem.CheckUnreached, problem.CheckBusy, problem.CheckToken, problem.CheckFails, problem.RelayStore, problem.LimitsStay, problem.RelayShared, problem.RelayOwnMail, problem.RelayMoved, problem.NoRelayData, problem.NodeBusy,
	problem.RelayThere, problem.BadExport, problem.FileThere,
	problem.ConfigUnknown, problem.ConfigValue, problem.NoWindow,
	problem.DemoFailed, problem.BenchFailed, problem.OutputLost, problem.NoDisplay,
}

// Every problem that can come to the window has words in each language, and names no
// command that nobody there can type.
func TestEveryProblemHasWords(t *testing.T) {
	english := lang.New("en")
	for _, tag := range lang.Available() {
		l := lang.New(tag)
		for _, p := range problem.All() {
			s, ok := words(l, p.Code)
			if slices.Contains(elsewhere, p.Code) {
				if ok {
					t.Errorf("%s has words, and is listed as one that never comes here", p.Code)
				}
				continue
			}
			if !ok || s.What == "" || strings.HasSuffix(s.What, ".") || !strings.HasSuffix(s.Means, ".") {
				t.Errorf("%s in %s: %+v", p.Code, tag, s)
				continue
			}
			if e, _ := words(english, p.Code); tag != "en" && (e.What == s.What || e.Means == s.Means) {
				t.Errorf("%s is not translated to %s: %+v", p.Code, tag, s)
			}
			if strings.ContainsAny(s.Means, "`") || strings.Contains(s.Means, "--") {
				t.Errorf("%s in %s speaks of commands: %s", p.Code, tag, s.Means)
			}
		}
	}
}

// What the node says of peers that it does not reach is translated, all of it.
func TestWhyARelayIsNotReached(t *testing.T) {
	src, err := os.ReadFile("../../../p2p/node/why.go")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`return "([^"]+)"`).FindAllStringSubmatch(string(src), -1)
	if len(found) < 8 {
		t.Fatalf("%d reasons in why.go", len(found))
	}
	for _, f := range found {
		if got := Unreached(lang.New("fr"), f[1]); got == f[1] || got == Unreached(lang.New("en"), f[1]) {
			t.Errorf("%q has no words in the window", f[1])
		}
	}
}

func TestReasonsInTheLanguageOfTheWindow(t *testing.T) {
	german := lang.New("de")
	full := "Die Relays des Kontakts sind voll"
	for text, want := range map[string]string{
		problem.RelayFull.Error(): full,
		problem.RelayFull.Error() + "; " + problem.NoRelayReached.Error(): full,
		"whatever an older version called it (REL-09)":                    full,
		"of a later version (ZZZ-99)":                                     "of a later version (ZZZ-99)",
		"dial: refused":                                                   "dial: refused",
		"":                                                                "",
		"(":                                                               "(",
	} {
		if got := Reason(german, text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	if got := Explain(german, problem.RelayFull.Error()); !strings.HasPrefix(got, full+". Die Nachricht ist") {
		t.Error(got)
	}
	if got := Of(german, problem.New(problem.DiskFull, errors.New("x"))); got.What != "Die Festplatte ist voll" {
		t.Errorf("%+v", got)
	}
	later := &problem.Error{Problem: problem.Problem{Code: "ZZZ-99", What: "New", Means: "It is new.", Do: "Wait."}}
	if got := Of(german, later).Sentence(); got != "New. It is new. Wait." {
		t.Error(got)
	}
}
