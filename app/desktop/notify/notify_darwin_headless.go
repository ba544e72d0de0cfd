//go:build darwin && !cgo

package notify

// New has nothing to show notifications by: on macOS that takes cgo, which the desktop
// program is built with.
func New(Options) (Notifier, error) { return nil, ErrUnavailable }
