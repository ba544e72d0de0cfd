package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/godwit-im/godwit/app"
	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/problem"
)

// Bounds of a command that runs the account itself.
const (
	lingerTime = 10 * time.Second       // for what was queued to leave this device
	askingTime = 10 * time.Minute       // for the work of a first message to a reusable address
	lingerTick = 100 * time.Millisecond // between two looks
	settleTime = 3 * time.Second        // for relays to be reached before `status` speaks
)

// account is what a command works on: the node of the profile, or the app in
// this process.
type account struct {
	api.Backend
	// own says that the app runs in this process, and ends with it.
	own bool
}

// with finds the node of the profile, or runs the app in this process, and
// calls f with it.
func (c *cli) with(ctx context.Context, change func(*config.Config), f func(context.Context, account) error) error {
	cfg, _, err := c.load()
	if err != nil {
		return err
	}
	cfg.Brief = true
	if change != nil {
		change(&cfg)
	}
	if _, err := os.Stat(cfg.Dirs.Data); errors.Is(err, fs.ErrNotExist) && !cfg.Create {
		return problem.New(problem.NoAccount, nil) // a mistyped --profile is not made
	}
	a, client, err := app.Reach(ctx, cfg)
	if err != nil {
		return err
	}
	if client != nil {
		defer client.Close()
		return f(ctx, account{Backend: client})
	}
	return runWith(ctx, cfg.Logger, a, func(ctx context.Context) error { return f(ctx, account{Backend: a, own: true}) })
}

// runWith runs the app for as long as f takes, and waits for both.
func runWith(ctx context.Context, log *slog.Logger, a *app.App, f func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() {
		err := a.Run(ctx)
		if err != nil && !errors.Is(err, context.Canceled) {
			cancel(err) // f must not wait for an app that has failed
		}
		ended <- err
	}()
	err := f(ctx)
	if cause := context.Cause(ctx); errors.Is(err, context.Canceled) && cause != nil {
		err = cause
	}
	before := ctx.Err() != nil // the app, or a signal, ended it
	cancel(nil)
	runErr := <-ended
	if !before && runErr != nil {
		// The command did what it should; how the app stopped is for the log.
		log.Warn("the account did not stop cleanly", "err", runErr)
		runErr = nil
	}
	if errors.Is(runErr, context.Canceled) {
		runErr = nil
	}
	closeErr := a.Close()
	if err != nil {
		return err // what the command wanted says more than how the app ended
	}
	return errors.Join(runErr, closeErr)
}

// linger gives an app that ends with this command the time to hand over what
// it has queued. What stays is sent when a node runs again.
func (a account) linger(ctx context.Context, limit time.Duration) error {
	if !a.own {
		return nil
	}
	return a.settle(ctx, limit, func(s api.Status) bool { return s.Queued <= s.Asked })
}

// settle waits until the status is as wanted, or the time is over, which is no
// error.
func (a account) settle(ctx context.Context, limit time.Duration, settled func(api.Status) bool) error {
	over := time.After(limit)
	tick := time.NewTicker(lingerTick)
	defer tick.Stop()
	for {
		s, err := a.Status(ctx, api.StatusRequest{})
		if err != nil || settled(s) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-over:
			return nil
		case <-tick.C:
		}
	}
}
