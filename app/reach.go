package app

import (
	"context"
	"errors"
	"time"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/problem"
)

// Bounds of Reach.
const (
	lockPatience = 10 * time.Second      // for a short command, or a node that starts
	lockInterval = 50 * time.Millisecond // between two tries
)

// Reach opens the account of a profile, or finds the node that has it open already: one
// of the two results is not nil. Where another process has the profile and does not
// answer, it is a short command, or a node that is just starting: both are soon over,
// so Reach waits a while for it. Errors: those of Open and api.Dial.
func Reach(ctx context.Context, cfg config.Config) (*App, *api.Client, error) {
	patience := time.After(lockPatience)
	for {
		client, err := api.Dial(ctx, cfg.Dirs.Socket)
		if err == nil {
			return nil, client, nil
		}
		if !errors.Is(err, api.ErrNoNode) {
			return nil, nil, err
		}
		a, err := Open(ctx, cfg)
		if err == nil {
			return a, nil, nil
		}
		if !errors.Is(err, problem.ProfileInUse) {
			return nil, nil, err
		}
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-patience:
			return nil, nil, err
		case <-time.After(lockInterval):
		}
	}
}
