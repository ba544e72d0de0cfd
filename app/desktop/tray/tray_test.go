//go:build unix && !darwin

package tray

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"go.uber.org/goleak"

	"github.com/godwit-im/godwit/app/desktop/bus/bustest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// panel is a watcher on a bus of the test's own.
type panel struct{ host atomic.Bool }

func (p *panel) Get(of, name string) (dbus.Variant, *dbus.Error) {
	if of != watcher || name != "IsStatusNotifierHostRegistered" {
		return dbus.Variant{}, dbus.MakeFailedError(errors.New("no such property"))
	}
	return dbus.MakeVariant(p.host.Load()), nil
}

func TestATrayComesAndGoes(t *testing.T) {
	bustest.Start(t)
	ctx, stop := context.WithCancel(t.Context())
	said, ended := make(chan bool, 10), make(chan error, 1)
	go func() { ended <- Watch(ctx, func(present bool) { said <- present }) }()
	want := func(present bool, when string) {
		t.Helper()
		select {
		case got := <-said:
			if got != present {
				t.Fatalf("%s: %v", when, got)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: nothing was said", when)
		}
	}
	want(false, "on an empty desktop")

	p, conn := &panel{}, bustest.Connect(t)
	if err := conn.Export(p, watcherPath, "org.freedesktop.DBus.Properties"); err != nil {
		t.Fatal(err)
	}
	bustest.Own(t, conn, watcher) // a watcher, which nothing shows icons for
	p.host.Store(true)
	if err := conn.Emit(watcherPath, watcher+".StatusNotifierHostRegistered"); err != nil {
		t.Fatal(err)
	}
	want(true, "with a panel")
	conn.Close()
	want(false, "when the panel is gone")

	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	select {
	case present := <-said:
		t.Errorf("and then %v", present)
	default:
	}
}

func TestWithoutABus(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
	ctx, stop := context.WithCancel(t.Context())
	err := Watch(ctx, func(present bool) {
		if present {
			t.Error("there is no tray")
		}
		stop()
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
