// Package bus opens the session bus of a Linux (or BSD) desktop, a private
// connection for each caller, by which notifications are shown and the tray is found.
// It starts nothing: where no bus runs there is none.
package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/godbus/dbus/v5"
)

// ErrNone says that no session bus can be reached: no desktop, or one without D-Bus.
var ErrNone = errors.New("bus: no session bus")

// Open connects to the session bus that the environment names (DBUS_SESSION_BUS_ADDRESS,
// or $XDG_RUNTIME_DIR/bus). The connection ends with the context, or with Close.
// Signals arrive in the order in which they were sent. Its error is ErrNone.
func Open(ctx context.Context) (*dbus.Conn, error) {
	conn, err := dbus.SessionBusPrivateNoAutoStartup(dbus.WithContext(ctx), dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	}
	if err = conn.Auth(nil); err == nil {
		err = conn.Hello()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNone, errors.Join(err, conn.Close()))
	}
	return conn, nil
}
