package apptest_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/apptest"
)

// Ben is away, and what Anna says, edits and deletes meanwhile waits at the relay for him. Back, he
// finds it as it is, answers and reacts; she learns that he has read it. Then they have
// messages disappear, and Ben shares no more what he reads, which outlives his node.
func TestWhatPeopleDoInChats(t *testing.T) {
	t.Parallel()
	w := apptest.New(t)
	w.Relay("relay")
	anna, ben := w.Person("anna", "relay"), w.Person("ben", "relay")
	anna.Meets(ben)
	ctx := context.Background()
	did := func(sent api.Sent, err error) api.Sent {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return sent
	}
	ben.Leaves()
	lunch, slip := anna.Says(ben, "Lunch on Tuseday?"), anna.Says(ben, "You owe me five")
	if s := did(anna.Edit(ctx, api.EditRequest{ID: lunch, Text: "Lunch on Tuesday?", Wait: api.Kept})); s.State != api.Kept || s.ID == lunch {
		t.Errorf("the edit is %+v", s)
	}
	did(anna.Delete(ctx, api.DeleteRequest{ID: slip, ForBoth: true, Wait: api.Kept}))
	ben.Returns()
	ben.Awaits("what Anna did to be there", func(context.Context) bool {
		return len(ben.Hears(anna)) == 2 && ben.Finds(anna, slip).Deleted && !ben.Finds(anna, lunch).Edited.IsZero()
	})
	ben.Reads(anna, "Lunch on Tuesday?", "")
	if _, err := ben.MarkRead(ctx, api.MarkReadRequest{Conversation: "anna"}); err != nil {
		t.Fatal(err)
	}
	anna.Sees(ben, lunch, api.Read)
	answer := did(ben.Send(ctx, api.SendRequest{Contact: "anna", Text: "Yes!", ReplyTo: lunch, Wait: api.Delivered}))
	did(ben.React(ctx, api.ReactRequest{ID: lunch, Emoji: "😋", Wait: api.Delivered}))
	if m := anna.Finds(ben, lunch); len(m.Reactions) != 1 || m.Reactions[0].Emoji != "😋" || m.Reactions[0].Mine {
		t.Errorf("Anna sees the reactions %+v", m.Reactions)
	}
	if q := anna.Finds(ben, answer.ID).Reply; q == nil || q.ID != lunch || q.Text != "Lunch on Tuesday?" || q.Name != "" {
		t.Errorf("Anna sees the answer to %+v", q)
	}
	var changes []string
	for _, e := range anna.Happened(api.EventMessage) {
		if e.ID == lunch {
			changes = append(changes, e.Change)
		}
	}
	if want := []string{api.ChangeNew, api.ChangeEdited, api.ChangeReacted}; !slices.Equal(changes, want) {
		t.Errorf("Anna was told %q of her message, want %q", changes, want)
	}
	steps, err := anna.Trail(ctx, api.TrailRequest{ID: lunch})
	if last := len(steps) - 1; err != nil || steps[last].State != api.Read {
		t.Errorf("its trail is %+v, %v", steps, err)
	}

	off := false
	if s, err := ben.SetSettings(ctx, api.SetSettingsRequest{ReadReceipts: &off}); err != nil || s.ReadReceipts || s.Typing {
		t.Fatalf("Ben's settings are %+v, %v", s, err)
	}
	did(ben.SetTimer(ctx, api.SetTimerRequest{Contact: "anna", After: api.Duration(time.Second), Wait: api.Delivered}))
	secret := anna.Says(ben, "The key is under the mat")
	ben.Reads(anna, "Lunch on Tuesday?", "", "The key is under the mat")
	if _, err := ben.MarkRead(ctx, api.MarkReadRequest{Conversation: "anna"}); err != nil {
		t.Fatal(err)
	}
	for p, other := range map[*apptest.Person]*apptest.Person{anna: ben, ben: anna} {
		p.Awaits("the message to disappear", func(ctx context.Context) bool {
			list, err := p.Messages(ctx, api.MessagesRequest{Contact: other.Name})
			return err == nil && !slices.ContainsFunc(list, func(m api.Message) bool { return m.ID == secret })
		})
	}
	if s, err := anna.Trail(ctx, api.TrailRequest{ID: secret}); err != nil || s[len(s)-1].State != api.Delivered {
		t.Errorf("Ben shares nothing, and the trail says %+v, %v", s, err)
	}
	ben.Leaves()
	text, err := os.ReadFile(filepath.Join(ben.Profile(), "config.toml"))
	if err != nil || !strings.Contains(string(text), `read_receipts = "off"`) {
		t.Errorf("config.toml says %q, %v", text, err)
	}
	ben.Returns()
	if s, err := ben.Settings(ctx, api.SettingsRequest{}); err != nil || s.ReadReceipts {
		t.Errorf("after a restart Ben's settings are %+v, %v", s, err)
	}
	if v, err := ben.Conversations(ctx, api.ConversationsRequest{Only: []string{"anna"}}); err != nil || time.Duration(v[0].Timer) != time.Second {
		t.Errorf("after a restart the conversation is %+v, %v", v, err)
	}
}
