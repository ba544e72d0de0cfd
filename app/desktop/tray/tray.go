// Package tray tells whether the desktop has a tray to keep an icon in. A window that
// closes to a tray that is not there is lost to its owner, so close-to-tray is offered
// only while there is one, and ends when it goes (GNOME has none without an extension,
// which may be switched off at any time).
package tray

import "context"

// Watch calls changed with whether there is a tray: at once, and again whenever that
// changes, from one goroutine, until the context ends, whose error it returns.
func Watch(ctx context.Context, changed func(present bool)) error { return watch(ctx, changed) }
