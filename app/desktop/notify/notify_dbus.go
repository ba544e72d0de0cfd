//go:build unix && !darwin

package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/godwit-im/godwit/app/desktop/bus"
)

// Names of the Desktop Notifications Specification 1.3.
const (
	server      = "org.freedesktop.Notifications"
	serverPath  = "/org/freedesktop/Notifications"
	openAction  = "default" // what a click on the note itself invokes
	urgencyNone = byte(1)   // "normal": never one that goes through do-not-disturb
)

// answerTime is how long the server may take for a call.
const answerTime = 3 * time.Second

// shown is a note on the screen.
type shown struct {
	id     uint32
	target string
	token  string // comes before the click
}

// desktop is the notification server of this session. One goroutine owns the
// connection and what is shown.
type desktop struct {
	o      Options
	ask    chan request
	clicks clicks
	stop   context.CancelFunc
	done   chan struct{}
}

type request struct {
	ctx    context.Context
	work   func(context.Context, *connection) error
	answer chan error
}

// New finds the desktop's notification server. Where there is none at the moment each
// Show looks again.
func New(o Options) (Notifier, error) {
	ctx, stop := context.WithCancel(context.Background())
	d := &desktop{o: o, ask: make(chan request), clicks: make(clicks, pending), stop: stop, done: make(chan struct{})}
	go d.run(ctx)
	return d, nil
}

func (d *desktop) Clicks() <-chan Click { return d.clicks }

func (d *desktop) Close() error {
	d.stop()
	<-d.done
	return nil
}

func (d *desktop) Show(ctx context.Context, n Note) error {
	return d.do(ctx, func(ctx context.Context, c *connection) error { return c.show(ctx, d.o, n) })
}

func (d *desktop) Withdraw(ctx context.Context, key string) error {
	return d.do(ctx, func(ctx context.Context, c *connection) error { return c.withdraw(ctx, key) })
}

// do has the owner work.
func (d *desktop) do(ctx context.Context, work func(context.Context, *connection) error) error {
	r := request{ctx, work, make(chan error, 1)}
	select {
	case d.ask <- r:
		return <-r.answer // each call in it is bounded by answerTime
	case <-ctx.Done():
		return ctx.Err()
	case <-d.done:
		return ErrUnavailable
	}
}

// run owns the connection: it is opened when something is to be shown, and anew when
// it was lost.
func (d *desktop) run(ctx context.Context) {
	defer close(d.done)
	var c *connection
	defer func() {
		if c != nil {
			c.conn.Close()
		}
	}()
	for {
		var signals <-chan *dbus.Signal
		if c != nil {
			signals = c.signals
		}
		select {
		case <-ctx.Done():
			return
		case s, ok := <-signals:
			if !ok {
				c.conn.Close()
				c = nil // the bus went away, and all that was shown with it
				continue
			}
			c.heard(s, d.clicks)
		case r := <-d.ask:
			var err error
			if c == nil {
				c, err = connect(ctx)
			}
			if err == nil {
				err = r.work(r.ctx, c)
			}
			r.answer <- err
		}
	}
}

// connection is one connection to the bus, and what the server shows for it.
type connection struct {
	conn    *dbus.Conn
	signals chan *dbus.Signal
	owner   string   // the server's own name on the bus; empty: none is known
	can     []string // what it is capable of
	notes   map[string]shown
}

func connect(ctx context.Context) (*connection, error) {
	conn, err := bus.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	c := &connection{conn: conn, signals: make(chan *dbus.Signal, 16), notes: map[string]shown{}}
	conn.Signal(c.signals)
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	err = errors.Join(
		conn.AddMatchSignalContext(ctx, dbus.WithMatchSender(server), dbus.WithMatchInterface(server)),
		conn.AddMatchSignalContext(ctx, dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, server)),
	)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, errors.Join(err, conn.Close()))
	}
	return c, nil
}

// find finds the server, and has it started where the desktop knows how. It is called
// by its own name from then on: ids are worth nothing to another one.
func (c *connection) find(ctx context.Context) error {
	if c.owner != "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	// Most servers run already, and some cannot be started: then the next call says so.
	c.conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.StartServiceByName", 0, server, uint32(0))
	if err := c.conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetNameOwner", 0, server).Store(&c.owner); err != nil {
		c.owner = ""
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err := c.call(ctx, server+".GetCapabilities", nil, &c.can); err != nil {
		c.forget()
		return err
	}
	return nil
}

// forget is what comes of a server that is gone.
func (c *connection) forget() {
	clear(c.notes)
	c.owner, c.can = "", nil
}

// call calls the server.
func (c *connection) call(ctx context.Context, method string, args []any, into ...any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	err := c.conn.Object(c.owner, serverPath).CallWithContext(ctx, method, 0, args...).Store(into...)
	var refused dbus.Error
	if errors.As(err, &refused) && (refused.Name == "org.freedesktop.DBus.Error.ServiceUnknown" || refused.Name == "org.freedesktop.DBus.Error.NameHasNoOwner") {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err != nil {
		return fmt.Errorf("notify: %s: %w", method, err)
	}
	return nil
}

// show shows a note; if the server is gone, by the one that took its place.
func (c *connection) show(ctx context.Context, o Options, n Note) error {
	known := c.owner != ""
	err := c.find(ctx)
	if err == nil {
		err = c.notify(ctx, o, n)
	}
	if known && errors.Is(err, ErrUnavailable) {
		c.forget()
		if err = c.find(ctx); err == nil {
			err = c.notify(ctx, o, n)
		}
	}
	return err
}

func (c *connection) notify(ctx context.Context, o Options, n Note) error {
	body := plain(n.Body, maxBody)
	if slices.Contains(c.can, "body-markup") {
		body = escape(body) // elsewhere it is shown as it is
	}
	actions := []string{}
	if slices.Contains(c.can, "actions") {
		actions = []string{openAction, o.Name} // a click; servers show no button for it
	}
	hints := map[string]dbus.Variant{
		"desktop-entry":  dbus.MakeVariant(o.ID),
		"category":       dbus.MakeVariant("im.received"),
		"urgency":        dbus.MakeVariant(urgencyNone),
		"suppress-sound": dbus.MakeVariant(c.inhibited(ctx)),
	}
	icon := o.ID
	if o.Icon != "" {
		icon = o.Icon
	}
	var id uint32
	err := c.call(ctx, server+".Notify", []any{o.Name, c.notes[n.Key].id, icon, plain(n.Title, maxTitle), body, actions, hints, int32(-1)}, &id)
	if err == nil {
		c.notes[n.Key] = shown{id: id, target: n.Target}
	}
	return err
}

// inhibited says whether the person asked not to be disturbed, where the server tells
// (KDE does). What pops up and when is the server's to decide; the sound would be ours.
func (c *connection) inhibited(ctx context.Context) (yes bool) {
	var v dbus.Variant
	if err := c.call(ctx, "org.freedesktop.DBus.Properties.Get", []any{server, "Inhibited"}, &v); err != nil {
		return false // most servers do not know the property
	}
	yes, _ = v.Value().(bool)
	return yes
}

func (c *connection) withdraw(ctx context.Context, key string) error {
	n, ok := c.notes[key]
	if !ok {
		return nil
	}
	delete(c.notes, key)
	return c.call(ctx, server+".CloseNotification", []any{n.id})
}

// heard takes what the server tells about notes of ours. Ids are the server's alone,
// so those of other programs' notes are told apart by them.
func (c *connection) heard(s *dbus.Signal, out clicks) {
	if s.Name == "org.freedesktop.DBus.NameOwnerChanged" && len(s.Body) == 3 {
		if now, ok := s.Body[len(s.Body)-1].(string); !ok || now != c.owner {
			c.forget() // another server, or none
		}
		return
	}
	if s.Path != serverPath || len(s.Body) != 2 {
		return
	}
	id, ok := s.Body[0].(uint32)
	if !ok {
		return
	}
	for key, n := range c.notes {
		if n.id != id {
			continue
		}
		switch text, _ := s.Body[1].(string); s.Name {
		case server + ".ActivationToken":
			n.token = text
			c.notes[key] = n
		case server + ".ActionInvoked":
			if text == openAction {
				out.put(Click{Target: n.target, Token: n.token})
			}
		case server + ".NotificationClosed":
			delete(c.notes, key)
		}
		return
	}
}

// escape writes text as the markup of the specification, which is a subset of HTML.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;").Replace(s)
}
