//go:build !unix || darwin

package tray

import "context"

// Windows and macOS always have one.
func watch(ctx context.Context, changed func(bool)) error {
	changed(true)
	<-ctx.Done()
	return ctx.Err()
}
