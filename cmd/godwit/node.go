package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/godwit-im/godwit/app"
	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/problem"
)

func (c *cli) nodeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Run the account until SIGTERM",
		Long: "Runs the account of the profile, making it where there is none, until SIGTERM or an interrupt. It prints `ready` and then what happens;\n" +
			"other commands find it through the local API.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.node(cmd.Context()) },
	}
	c.setting(cmd, false, "listen", "MULTIADDR", "listen there (repeatable)")
	c.setting(cmd, false, "peer", "MULTIADDR", "start from this peer (repeatable)")
	c.setting(cmd, false, "bootstrap", "FILE", "start from the peers that this file lists, too")
	c.setting(cmd, false, "relay", "MULTIADDR", "keep this account's mail at this relay (repeatable)")
	c.setting(cmd, false, "choose_relays", "auto|on|off", "find relays, test them and replace those that fail (auto: in public)")
	return cmd
}

// node runs the app, the local API and the printing of events side by side.
// One that fails ends the others; a signal ends all and is no failure.
func (c *cli) node(ctx context.Context) (err error) {
	cfg, _, err := c.load()
	if err != nil {
		return err
	}
	cfg.Create = true
	if err := cfg.Dirs.Make(); err != nil {
		return err
	}
	logFile, err := config.OpenLog(cfg.Dirs)
	if err != nil {
		return problem.New(problem.CannotMakeDir, err)
	}
	defer func() { err = errors.Join(err, logFile.Close()) }()
	cfg.Logger = slog.New(slog.NewMultiHandler(
		slog.NewTextHandler(logFile, &slog.HandlerOptions{Level: cfg.LogLevel}),
		slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: c.logLevel(cfg, cfg.LogLevel)}),
	))

	a, client, err := app.Reach(ctx, cfg)
	if err != nil {
		return err
	}
	if client != nil {
		client.Close()
		return problem.Newf(problem.ProfileInUse, "process %d runs its node", client.Node().PID)
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	server, err := api.Listen(cfg.Dirs.Socket, a, config.Version)
	if err != nil {
		return err
	}
	parts, partsCtx := errgroup.WithContext(ctx)
	for _, part := range []func(context.Context) error{
		a.Run,
		server.Run,
		func(ctx context.Context) error { return a.Events(ctx, api.EventsRequest{}, c.event) },
	} {
		parts.Go(func() error {
			err := part(partsCtx)
			if ctx.Err() == nil {
				return err
			}
			if err != nil && !errors.Is(err, context.Canceled) {
				cfg.Logger.Warn("a part of the node did not stop cleanly", "err", err)
			}
			return nil
		})
	}
	return parts.Wait()
}
