// Package single sees to it that an account has one window: a second start of the
// desktop program hands its link to the first, over the local API, and ends. What a
// person clicks in a browser arrives that way too.
package single

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/godwit-im/godwit/app"
	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/link"
	"github.com/godwit-im/godwit/app/problem"
)

// Entry is how this start works on the account. Both nil: another window has it, and
// came to the front.
type Entry struct {
	App  *app.App    // opened here, for the caller to Run and Close
	Node *api.Client // a node without a window runs the account; for the caller to Close
}

// Enter opens the account for a window. text is the link that the program was started
// with, and empty without one; in the first window it is for the caller to show, as is
// the App to be run together with its local API, so that further starts find it.
// Errors: problem.BadLink; those of app.Reach, of which problem.ProfileInUse is that a
// process has the profile and does not answer; those of showing the window.
func Enter(ctx context.Context, cfg config.Config, text, token string) (Entry, error) {
	if text != "" {
		if _, err := link.Parse(text); err != nil {
			return Entry{}, problem.New(problem.BadLink, err)
		}
	}
	a, node, err := app.Reach(ctx, cfg)
	if err != nil {
		return Entry{}, err
	}
	if a != nil {
		return Entry{App: a}, nil
	}
	_, err = node.ShowWindow(ctx, api.ShowWindowRequest{Link: text, Token: token})
	if errors.Is(err, problem.NoWindow) {
		return Entry{Node: node}, nil
	}
	node.Close()
	return Entry{}, err
}

// Find hands the link of this start to a window that has no account open yet: one that
// asks for a passphrase, or for what to begin with. It says whether there is one.
// Errors: problem.BadLink; those of api.Dial.
func Find(ctx context.Context, cfg config.Config, text, token string) (bool, error) {
	window, err := api.Dial(ctx, cfg.Dirs.WindowSocket())
	if errors.Is(err, api.ErrNoNode) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer window.Close()
	_, err = window.ShowWindow(ctx, api.ShowWindowRequest{Link: text, Token: token})
	return err == nil, err
}

// Begin makes this the window that further starts Find, until await's context ends. Of
// those that begin at one moment one does; for the others await is nil: they have handed
// their link to it. Errors: problem.ProfileInUse is that the other one does not answer;
// problem.BadLink; those of the socket.
func Begin(ctx context.Context, cfg config.Config, text, token string) (await func(context.Context) error, err error) {
	patience := time.After(beginPatience)
	for {
		lock, err := config.AcquireFile(filepath.Join(cfg.Dirs.State, "window.lock"), problem.ProfileInUse)
		if err == nil {
			return listen(cfg, lock)
		}
		if !errors.Is(err, problem.ProfileInUse) {
			return nil, err
		}
		if found, err := Find(ctx, cfg, text, token); found || err != nil {
			return nil, err
		}
		select { // it has the lock, and listens in a moment
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-patience:
			return nil, err
		case <-time.After(beginInterval):
		}
	}
}

// Bounds of Begin.
const (
	beginPatience = 5 * time.Second
	beginInterval = 20 * time.Millisecond // between two tries
)

// listen opens the socket for the one that has its lock.
func listen(cfg config.Config, lock *config.Lock) (await func(context.Context) error, err error) {
	server, err := api.ListenWindow(cfg.Dirs.WindowSocket(), func(ctx context.Context, r api.ShowWindowRequest) (api.Shown, error) {
		return app.ShowWindow(ctx, cfg, r)
	}, config.Version)
	if err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	return func(ctx context.Context) error { return errors.Join(server.Run(ctx), lock.Release()) }, nil
}

// Token is the leave to come to the front that the desktop gave this start: of
// xdg-activation (Wayland), or of startup notification (X11).
func Token(getenv func(string) string) string {
	if t := getenv("XDG_ACTIVATION_TOKEN"); t != "" {
		return t
	}
	return getenv("DESKTOP_STARTUP_ID")
}
