//go:build unix && !darwin

package tray

import (
	"context"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/godwit-im/godwit/app/desktop/bus"
)

// Names of the StatusNotifierItem specification, as all desktops spell them.
const (
	watcher     = "org.kde.StatusNotifierWatcher"
	watcherPath = "/StatusNotifierWatcher"
)

// Bounds of the watch.
const (
	answerTime = 3 * time.Second  // for the watcher to answer
	lookAgain  = 30 * time.Second // for a bus where there was none
)

func watch(ctx context.Context, changed func(bool)) error {
	told, last := false, false
	tell := func(present bool) {
		if !told || present != last {
			changed(present)
		}
		told, last = true, present
	}
	for {
		follow(ctx, tell)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		tell(false)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookAgain):
		}
	}
}

// follow tells until the bus is lost.
func follow(ctx context.Context, tell func(bool)) {
	conn, err := bus.Open(ctx)
	if err != nil {
		return
	}
	defer conn.Close()
	signals := make(chan *dbus.Signal, 16)
	conn.Signal(signals)
	for _, match := range [][]dbus.MatchOption{
		{dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, watcher)},
		{dbus.WithMatchSender(watcher), dbus.WithMatchInterface(watcher)}, // hosts that come and go
	} {
		if err := conn.AddMatchSignalContext(ctx, match...); err != nil {
			return
		}
	}
	for {
		tell(present(ctx, conn))
		if _, ok := <-signals; !ok {
			return // with the context too: the connection ends with it
		}
	}
}

// present says whether there is a watcher, and something that shows its icons.
func present(ctx context.Context, conn *dbus.Conn) bool {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	var v dbus.Variant
	err := conn.Object(watcher, watcherPath).CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", dbus.FlagNoAutoStart, watcher, "IsStatusNotifierHostRegistered").Store(&v)
	host, _ := v.Value().(bool)
	return err == nil && host
}
