//go:build unix && !darwin

package notify

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/godwit-im/godwit/app/desktop/bus/bustest"
)

// screen is a notification server on a bus of the test's own.
type screen struct {
	conn *dbus.Conn
	can  []string

	mu    sync.Mutex
	next  uint32
	calls []call
	notes map[uint32]bool
}

// call is what the server was asked to show.
type call struct {
	app, icon, title, body string
	replaces, id           uint32
	actions                []string
	hints                  map[string]dbus.Variant
}

func (s *screen) GetCapabilities() ([]string, *dbus.Error) { return s.can, nil }

func (s *screen) Notify(app string, replaces uint32, icon, title, body string, actions []string, hints map[string]dbus.Variant, expire int32) (uint32, *dbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := replaces
	if !s.notes[id] {
		s.next++
		id = s.next
	}
	s.notes[id] = true
	s.calls = append(s.calls, call{app, icon, title, body, replaces, id, actions, hints})
	return id, nil
}

func (s *screen) CloseNotification(id uint32) *dbus.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.notes, id)
	s.tell("NotificationClosed", id, uint32(3))
	return nil
}

// tell sends a signal to everybody.
func (s *screen) tell(name string, args ...any) { s.conn.Emit(serverPath, server+"."+name, args...) }

func (s *screen) last(t *testing.T) call {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.calls) == 0 {
		t.Fatal("nothing was shown")
	}
	return s.calls[len(s.calls)-1]
}

func (s *screen) showing() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.notes)
}

// properties says that the person asked not to be disturbed.
type properties struct{ inhibited bool }

func (p properties) Get(of, name string) (dbus.Variant, *dbus.Error) {
	if of != server || name != "Inhibited" {
		return dbus.Variant{}, dbus.MakeFailedError(errors.New("no such property"))
	}
	return dbus.MakeVariant(p.inhibited), nil
}

func newScreen(t *testing.T, inhibited bool, can ...string) *screen {
	t.Helper()
	s := &screen{conn: bustest.Connect(t), can: can, notes: map[uint32]bool{}}
	if err := errors.Join(s.conn.Export(s, serverPath, server), s.conn.Export(properties{inhibited}, serverPath, "org.freedesktop.DBus.Properties")); err != nil {
		t.Fatal(err)
	}
	bustest.Own(t, s.conn, server)
	return s
}

func notifier(t *testing.T) Notifier {
	t.Helper()
	n, err := New(Options{ID: "im.godwit.desktop", Name: "Godwit"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func show(t *testing.T, n Notifier, note Note) {
	t.Helper()
	if err := n.Show(t.Context(), note); err != nil {
		t.Fatal(err)
	}
}

func clicked(t *testing.T, n Notifier) Click {
	t.Helper()
	select {
	case c := <-n.Clicks():
		return c
	case <-time.After(20 * time.Second):
		t.Fatal("no click arrived")
		return Click{}
	}
}

func TestAClickOpensTheChat(t *testing.T) {
	bustest.Start(t)
	s := newScreen(t, false, "actions", "body", "body-markup")
	n := notifier(t)
	show(t, n, Note{Key: "chat anna", Target: "godwit:c#anna", Title: "Anna", Body: "hi"})
	show(t, n, Note{Key: "chat bob", Target: "godwit:c#bob", Title: "Bob", Body: "hello"})
	c := s.last(t)
	if c.app != "Godwit" || c.icon != "im.godwit.desktop" || c.title != "Bob" || c.body != "hello" || len(c.actions) != 2 || c.actions[0] != "default" {
		t.Errorf("%+v", c)
	}
	if c.hints["desktop-entry"].Value() != "im.godwit.desktop" || c.hints["urgency"].Value() != byte(1) || c.hints["suppress-sound"].Value() != false {
		t.Errorf("hints %v", c.hints)
	}
	s.tell("ActionInvoked", c.id+7, "default") // of another program
	s.tell("ActionInvoked", c.id, "no such action")
	s.tell("ActivationToken", c.id, "token-1")
	s.tell("ActionInvoked", c.id, "default")
	s.tell("NotificationClosed", c.id, uint32(2))
	if got := clicked(t, n); got != (Click{Target: "godwit:c#bob", Token: "token-1"}) {
		t.Errorf("%+v", got)
	}
	s.tell("ActionInvoked", c.id, "default") // closed: nothing comes of it
	s.tell("ActionInvoked", c.id-1, "default")
	if got := clicked(t, n); got != (Click{Target: "godwit:c#anna"}) {
		t.Errorf("%+v", got)
	}
}

func TestNotesAreReplacedNotStacked(t *testing.T) {
	bustest.Start(t)
	s := newScreen(t, false, "actions")
	n := notifier(t)
	show(t, n, Note{Key: "chat anna", Title: "Anna", Body: "1"})
	first := s.last(t).id
	show(t, n, Note{Key: "chat anna", Title: "Anna", Body: "2"})
	if c := s.last(t); c.replaces != first || c.id != first || s.showing() != 1 {
		t.Errorf("%+v, %d are shown", c, s.showing())
	}
	if err := errors.Join(n.Withdraw(t.Context(), "chat anna"), n.Withdraw(t.Context(), "chat anna"), n.Withdraw(t.Context(), "chat bob")); err != nil {
		t.Error(err)
	}
	if s.showing() != 0 {
		t.Error("the note stayed")
	}
	show(t, n, Note{Key: "chat anna", Title: "Anna", Body: "3"})
	if c := s.last(t); c.replaces != 0 {
		t.Errorf("%+v", c)
	}
}

// What people write is text: not markup, not a control of the bus.
func TestHostileNotes(t *testing.T) {
	bustest.Start(t)
	s := newScreen(t, true, "body-markup")
	n := notifier(t)
	show(t, n, Note{Key: "k", Title: "\x00\xff<b>Anna</b>\u202e", Body: `<img src="http://tracker/x.png"/><a href='file:///'>$(calc)</a> & more` + strings.Repeat("A", 1<<20)})
	c := s.last(t)
	if c.title != "<b>Anna</b>" {
		t.Errorf("title %q", c.title)
	}
	if !strings.HasPrefix(c.body, "&lt;img src=&quot;http://tracker/x.png&quot;/&gt;&lt;a href=&apos;file:///&apos;&gt;$(calc)&lt;/a&gt; &amp; moreAAA") || len(c.body) > 2*maxBody || strings.ContainsAny(c.body, `<>"'`) {
		t.Errorf("body %.200q", c.body)
	}
	if len(c.actions) != 0 {
		t.Errorf("actions %v for a server that knows none", c.actions)
	}
	if c.hints["suppress-sound"].Value() != true {
		t.Error("a sound although the person is not to be disturbed")
	}
}

// A server that knows no markup shows it: there the body is not escaped.
func TestWithoutMarkupNothingIsEscaped(t *testing.T) {
	bustest.Start(t)
	s := newScreen(t, false, "body")
	show(t, notifier(t), Note{Key: "k", Title: "Anna", Body: "1 < 2 & 3"})
	if c := s.last(t); c.body != "1 < 2 & 3" {
		t.Errorf("%q", c.body)
	}
}

func TestTheServerComesAndGoes(t *testing.T) {
	bustest.Start(t)
	n := notifier(t)
	if err := n.Show(t.Context(), Note{Key: "k", Title: "x"}); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("without a server: %v", err)
	}
	s := newScreen(t, false, "actions")
	show(t, n, Note{Key: "k", Title: "x"})
	if err := s.conn.Close(); err != nil {
		t.Fatal(err)
	}
	again := newScreen(t, false, "actions")
	show(t, n, Note{Key: "k", Target: "here", Title: "x"})
	c := again.last(t)
	if c.replaces != 0 {
		t.Errorf("a number of the server before: %+v", c)
	}
	again.tell("ActionInvoked", c.id, "default")
	if got := clicked(t, n); got.Target != "here" {
		t.Errorf("%+v", got)
	}
}

func TestWithoutABus(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
	n := notifier(t)
	if err := n.Show(t.Context(), Note{Key: "k", Title: "x"}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := n.Show(t.Context(), Note{Key: "k", Title: "x"}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("after Close: %v", err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Withdraw(over, "k"); !errors.Is(err, context.Canceled) && !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
}
