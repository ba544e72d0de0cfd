package problem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestTableIsCompleteAndReadable(t *testing.T) {
	exits := []int{ExitFailed, ExitUsage, ExitUnavailable, ExitCannotMake, ExitTryAgain, ExitPermission, ExitConfig, ExitTimedOut, ExitInterrupted}
	form := regexp.MustCompile(`^[A-Z]{3}-[0-9]{2}$`)
	seen := map[Code]bool{}
	for _, p := range All() {
		if !form.MatchString(string(p.Code)) || seen[p.Code] {
			t.Errorf("%s: malformed or given twice", p.Code)
		}
		seen[p.Code] = true
		if !slices.Contains(exits, p.Exit) {
			t.Errorf("%s: %d is not an exit status of ours", p.Code, p.Exit)
		}
		if p.What == "" || strings.HasSuffix(p.What, ".") {
			t.Errorf("%s: what happened is said without a full stop: %q", p.Code, p.What)
		}
		for _, s := range []string{p.Means, p.Do} {
			if !strings.HasSuffix(s, ".") {
				t.Errorf("%s: not a whole sentence: %q", p.Code, s)
			}
		}
	}
}

func TestAProblemIsFoundThroughWrapping(t *testing.T) {
	cause := errors.New("relay says: unknown notice")
	err := fmt.Errorf("accept: %w", New(InvitationGone, cause))
	if !errors.Is(err, InvitationGone) || !errors.Is(err, cause) {
		t.Fatal("neither the code nor the cause may be lost")
	}
	if errors.Is(err, OwnInvitation) {
		t.Fatal("one code is taken for another")
	}
	e := From(err)
	if e.Code != "INV-02" || e.Exit != 1 || !strings.Contains(e.Detail(), "accept: ") {
		t.Fatalf("%+v", e)
	}
}

func TestWrappingWithoutAWordAddsNoDetail(t *testing.T) {
	if e := From(errors.Join(New(NoAccount, nil), nil)); e.Code != NoAccount || e.Detail() != "" {
		t.Fatalf("%+v", e)
	}
}

func TestAProblemIsNotItsOwnCause(t *testing.T) {
	inner := Newf(Locked, "no terminal")
	if got := New(Locked, inner); got != inner {
		t.Fatalf("%v", got)
	}
	if got := New(Unexpected, inner); !errors.Is(got, Unexpected) || !errors.Is(got, Locked) {
		t.Fatalf("%v", got)
	}
}

func TestFromNamesWhatNobodyNamed(t *testing.T) {
	for _, c := range []struct {
		err  error
		code Code
		exit int
	}{
		{context.Canceled, Interrupted, 130},
		{fmt.Errorf("dial: %w", context.DeadlineExceeded), TimedOut, 124},
		{&fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission}, NotPermitted, 77},
		{errors.New("odd"), Unexpected, 1},
		{NoAccount, NoAccount, 78},
		{fmt.Errorf("open: %w", NoAccount), NoAccount, 78},
	} {
		e := From(c.err)
		if e.Code != c.code || e.Exit != c.exit || !errors.Is(e, c.code) {
			t.Errorf("%v became %v, exit %d", c.err, e, e.Exit)
		}
	}
	if From(nil) != nil {
		t.Error("no error is no problem")
	}
}

func TestAnUnknownCodeIsAFaultOfOurs(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("a code without a row would print nothing useful")
		}
	}()
	_ = New("XXX-99", nil)
}
