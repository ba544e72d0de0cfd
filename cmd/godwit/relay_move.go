package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app"
	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/p2p/mailbox/jetstream"
	"github.com/godwit-im/godwit/p2p/relay"
)

// relayMoved is what `relay export` and `relay import` print.
type relayMoved struct {
	File  string   `json:"file"`
	Cells uint64   `json:"cells"`
	Time  api.Time `json:"time"` // every receipt before it is honoured
}

func (c *cli) relayExportCommand() *cobra.Command {
	var data string
	var move bool
	cmd := &cobra.Command{
		Use:   "export FILE",
		Short: "Copy a relay with all its mail into a file",
		Long: "Copies a relay, its identity and all its mail, into a file that is not there yet: as a backup, or to go on elsewhere with `godwit relay import`. FILE - is\n" +
			"standard output. A relay that runs goes on meanwhile: in the file is all for which it gave a receipt before the time that is printed, and was not\n" +
			"deleted. What it takes in later is not, so to move it stop it first; with --move the directory is marked then, and no relay starts there any more.\n" +
			"With `store`, the mail is copied from there, and the other relay processes of that store go on meanwhile, too; with --move they end. DIR must have room for a copy of the mail then.\n" +
			"Whoever has the file can be the relay: it is readable by you alone, and not encrypted. Two relays must never run as one: they would promise to keep\n" +
			"mail that the other does not have.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			socket, data, err := c.relaySocket(data)
			if err != nil {
				return err
			}
			out, keep := c.out, func() error { return nil } // the latter makes what was written durable
			if args[0] != "-" {
				file, openErr := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
				if openErr != nil {
					return problem.New(problem.FileThere, openErr)
				}
				defer func() {
					if err = errors.Join(err, file.Close()); err != nil {
						os.Remove(args[0])
					}
				}()
				out, keep = file, file.Sync
			} else if c.terminalOut() {
				return problem.Newf(problem.Usage, "an export is not for a terminal to show")
			}
			var e relay.Exported
			shared, limits, sharedErr := c.sharedMail()
			if sharedErr != nil {
				return sharedErr
			}
			if relay.OwnMail(data) {
				shared = nil // it is not in the store yet
			}
			switch {
			case shared != nil && move:
				e, err = relay.MoveShared(cmd.Context(), data, out, keep, shared, limits)
			case shared != nil:
				e, err = relay.ExportShared(cmd.Context(), data, out, shared, limits)
			case move:
				e, err = relay.Move(data, out, keep)
			default:
				if e, err = relay.ExportRunning(cmd.Context(), socket, out); errors.Is(err, relay.ErrNotRunning) {
					e, err = relay.Export(data, out)
				}
			}
			var place *fs.PathError
			if errors.As(err, &place) && place.Path == args[0] {
				return problem.New(problem.FileThere, err) // it is the disk under it that is full
			}
			if errors.Is(err, fs.ErrNotExist) {
				return problem.Newf(problem.NoRelayData, "%s", data)
			}
			if err == nil && !move {
				err = keep()
			}
			if err != nil {
				return app.RelayProblem(err)
			}
			if move {
				c.note("No relay starts in %s any more. Remove it once the relay runs well where it went.", data)
			}
			c.note("It holds the relay's key: whoever has it can be this relay. Keep it as you would keep a password.")
			if args[0] == "-" {
				return nil
			}
			return c.result(moved(args[0], e), func(w io.Writer) {
				fmt.Fprintf(w, "%s holds the relay as it was at %s, with %s.\n", args[0], e.Time.UTC().Format(time.RFC3339), count(int(e.Cells), "cell"))
			})
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "the relay's `DIR`")
	c.storeSetting(cmd)
	cmd.Flags().BoolVar(&move, "move", false, "the relay, which is stopped, goes on elsewhere: let none start here any more")
	return cmd
}

func (c *cli) relayImportCommand() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Go on with a relay that was exported",
		Long: "Makes a relay's directory of what `godwit relay export` wrote; FILE - is standard input. The directory must be empty or not there, and is made whole or not\n" +
			"at all. Start the relay then as ever. It must not run anywhere else any more: `godwit relay export --move` sees to that.\n" +
			"With `store`, the mail goes into a stream there that must not be there yet, and all of it is read back and compared. If that is cut off, begin it again: it goes on where\n" +
			"it was, and until it is done no relay serves the stream. The relay moves out of a store by an export with `store`, and an import without.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, data, err := c.relaySocket(data)
			if err != nil {
				return err
			}
			in := c.in
			if args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return problem.New(problem.BadExport, err)
				}
				defer file.Close()
				in = file
			}
			shared, limits, err := c.sharedMail()
			if err != nil {
				return err
			}
			var e relay.Exported
			if shared != nil {
				e, err = relay.ImportShared(cmd.Context(), data, in, shared, limits)
			} else {
				e, err = relay.Import(cmd.Context(), data, in)
			}
			if err != nil {
				return app.RelayProblem(err)
			}
			c.note("Two relays must never run as one: see that it does not run where it was.")
			return c.result(moved(args[0], e), func(w io.Writer) {
				fmt.Fprintf(w, "%s is the relay as it was at %s, with %s.\n", data, e.Time.UTC().Format(time.RFC3339), count(int(e.Cells), "cell"))
			})
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "the relay's `DIR`")
	c.storeSetting(cmd)
	return cmd
}

func moved(file string, e relay.Exported) relayMoved {
	return relayMoved{File: file, Cells: e.Cells, Time: api.Time{Time: e.Time}}
}

// storeSetting gives a command that runs or moves a relay the flag for where its mail is.
func (c *cli) storeSetting(cmd *cobra.Command) {
	c.setting(cmd, false, "store", "URL", "keep the mail in a stream of the NATS servers at URL, nats://HOST:PORT,HOST:PORT,HOST:PORT, which several relays can share; GODWIT_STORE hides a password in it from who looks at processes")
}

// sharedMail is where the mail is moved to or from if the configuration has a store that relays share; else nil.
func (c *cli) sharedMail() (relay.Shared, relay.StoreConfig, error) {
	cfg, _, err := c.load()
	if err != nil || cfg.Store == "" {
		return nil, relay.StoreConfig{}, err
	}
	nats, err := jetstream.ParseURL(cfg.Store)
	if err != nil {
		return nil, relay.StoreConfig{}, c.badSetting("store", err)
	}
	l := app.RelayLimits(cfg)
	level := slog.HandlerOptions{Level: c.logLevel(cfg, slog.LevelWarn)}
	return natsMail{nats}, relay.StoreConfig{MaxBytes: uint64(l.MaxDisk), Quotas: l.Quotas, Log: slog.New(slog.NewTextHandler(c.err, &level))}, nil
}

// natsMail is a stream of NATS servers, as relay.Shared.
type natsMail struct{ jetstream.Config }

func (n natsMail) of(c relay.StoreConfig) jetstream.Config {
	n.Dir, n.Relay, n.MaxBytes, n.Quotas, n.Log = c.Dir, c.Relay, c.MaxBytes, c.Quotas, c.Log
	return n.Config
}

// storeError tells what the servers are to blame for.
func storeError(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, jetstream.ErrThere):
		return fmt.Errorf("%w: %w", relay.ErrThere, err)
	}
	return fmt.Errorf("%w: %w", relay.ErrStore, err)
}

func (n natsMail) Import(ctx context.Context, c relay.StoreConfig, from *relay.Own, name string) error {
	return storeError(jetstream.Import(ctx, n.of(c), from, name))
}

func (n natsMail) Export(ctx context.Context, c relay.StoreConfig, into *relay.Own, leaves bool) (time.Time, func() error, error) {
	at, undo, err := jetstream.Export(ctx, n.of(c), into, leaves)
	return at, undo, storeError(err)
}
