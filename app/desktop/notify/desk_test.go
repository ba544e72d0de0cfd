package notify

import (
	"fmt"
	"reflect"
	"testing"
)

func desk(l Level) *Desk {
	return &Desk{Level: l, Words: Words{
		App:     "Godwit",
		Request: "Somebody wants to write to you",
		Strange: "A stranger",
		Messages: func(n int) string {
			if n == 1 {
				return "New message"
			}
			return fmt.Sprintf("%d new messages", n)
		},
	}}
}

func fromAnna(text string) Message {
	return Message{Chat: "anna", Target: "godwit:c#anna", Name: "Anna", Text: text}
}

func TestTheLevelSaysHowMuchIsTold(t *testing.T) {
	for _, c := range []struct {
		level Level
		want  Note
		shown bool
	}{
		{"", Note{}, false},
		{Off, Note{}, false},
		{Hint, Note{Key: "anybody", Target: "godwit:c#anna", Title: "Godwit", Body: "New message"}, true},
		{Name, Note{Key: "chat anna", Target: "godwit:c#anna", Title: "Anna", Body: "New message"}, true},
		{Text, Note{Key: "chat anna", Target: "godwit:c#anna", Title: "Anna", Body: "The key is under the mat"}, true},
	} {
		got, shown := desk(c.level).Arrived(fromAnna("The key is under the mat"))
		if got != c.want || shown != c.shown {
			t.Errorf("%q: %+v, %v", c.level, got, shown)
		}
	}
}

func TestNothingIsShownOfWhatNeedsNoNotice(t *testing.T) {
	d := desk(Text)
	d.Front("anna")
	for _, m := range []Message{
		fromAnna("you are looking at this"),
		{Chat: "bob", Name: "Bob", Text: "psst", Muted: true},
		{Chat: "bob", Text: "from my other device", Own: true},
		{Name: "Eve", Text: "hello", Request: true, Muted: true},
	} {
		if n, shown := d.Arrived(m); shown {
			t.Errorf("%+v was shown as %+v", m, n)
		}
	}
	d.Front("")
	if _, shown := d.Arrived(fromAnna("and now you are not")); !shown {
		t.Error("nothing came while the window was behind others")
	}
}

func TestOneNoteForAChat(t *testing.T) {
	d := desk(Name)
	d.Arrived(fromAnna("1"))
	d.Arrived(Message{Chat: "bob", Name: "Bob"})
	n, _ := d.Arrived(fromAnna("2"))
	if n.Key != "chat anna" || n.Body != "2 new messages" {
		t.Errorf("%+v", n)
	}
	if got := d.Front("anna"); !reflect.DeepEqual(got, []string{"chat anna"}) {
		t.Errorf("withdraw %v", got)
	}
	if got := d.Front("anna"); got != nil {
		t.Errorf("again %v", got)
	}
	d.Front("")
	if n, _ := d.Arrived(fromAnna("3")); n.Body != "New message" {
		t.Errorf("the count went on: %+v", n)
	}
	if got := d.Gone("bob"); !reflect.DeepEqual(got, []string{"chat bob"}) {
		t.Errorf("withdraw %v", got)
	}
}

func TestWithoutNamesNobodySeesHowManyWrote(t *testing.T) {
	d := desk(Hint)
	d.Arrived(fromAnna("1"))
	n, _ := d.Arrived(Message{Chat: "bob", Name: "Bob", Target: "godwit:c#bob"})
	if n.Key != "anybody" || n.Title != "Godwit" || n.Body != "2 new messages" || n.Target != "godwit:c#bob" {
		t.Errorf("%+v", n)
	}
	if got := d.Front("bob"); !reflect.DeepEqual(got, []string{"anybody"}) {
		t.Errorf("withdraw %v", got)
	}
}

// A thousand strangers make one note, and none of their words are on the screen.
func TestRequestsAreOneNote(t *testing.T) {
	d := desk(Text)
	var n Note
	for i := range 1000 {
		n, _ = d.Arrived(Message{Chat: fmt.Sprint(i), Name: "Your bank", Text: "call 0900 123", Request: true, Target: "godwit:requests"})
		if n.Key != "requests" {
			t.Fatalf("%+v", n)
		}
	}
	if n.Title != "Your bank" || n.Body != "Somebody wants to write to you" {
		t.Errorf("%+v", n)
	}
	if n, _ := d.Arrived(Message{Chat: "x", Request: true}); n.Title != "A stranger" && n.Title != "Godwit" {
		t.Errorf("%+v", n)
	}
	if got := d.Asked(); !reflect.DeepEqual(got, []string{"requests"}) {
		t.Errorf("withdraw %v", got)
	}
	if d.Asked() != nil {
		t.Error("withdrawn twice")
	}
}
