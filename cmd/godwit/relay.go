package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/libp2p/go-libp2p/gologshim"
	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app"
	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/p2p/mailbox/jetstream"
	"github.com/godwit-im/godwit/p2p/node"
	"github.com/godwit-im/godwit/p2p/relay"
)

// watchInterval is how often `relay status --watch` looks.
const watchInterval = 2 * time.Second

func (c *cli) relayCommand() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "relay",
		Short: "Run a relay, or manage the relays of this account",
		Long: "Runs a relay until SIGTERM: a peer that keeps sealed messages for people who are away. It needs no account and cannot read what it keeps.\n" +
			"It asks nothing: its key and mail lie in --data or, without it, where it prints; it listens where it did the last time, and prints its addresses.\n" +
			"What it gives to others (max_disk, queue_cells, queue_size, box_queues, box_size, lease_days and, for who has a token, these\n" +
			"but the first with token_ before them; lease, lease_work, lease_token, connections, group_connections, group_rate, group_boxes, group_size in config.toml)\n" +
			"is read anew on SIGHUP and by `godwit relay reload`.\n" +
			"On SIGTERM it begins nothing new, answers what it took in, and ends within 10 s. Its commands manage the relays that the account of this profile\n" +
			"keeps its mail at.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.relay(cmd.Context(), data) },
	}
	cmd.Flags().StringVar(&data, "data", "", "keep everything in `DIR`")
	c.setting(cmd, false, "listen", "MULTIADDR", "listen there (repeatable)")
	c.setting(cmd, false, "announce", "MULTIADDR", "tell others that it is reached there, too: where a router or balancer leads to it (repeatable)")
	c.setting(cmd, false, "peer", "MULTIADDR", "start from this peer (repeatable)")
	c.setting(cmd, false, "bootstrap", "FILE", "start from the peers that this file lists, too")
	c.setting(cmd, false, "max_disk", "SIZE", "keep at most this much, such as 10GiB (the default); "+humanize.IBytes(config.MinDisk)+" at the least")
	c.setting(cmd, false, "connections", "N", "take at most so many connections at once (4096, on loopback any number)")
	c.setting(cmd, false, "http", "HOST:PORT", "serve the status page, /healthz, /readyz and /metrics there, on this computer")
	c.storeSetting(cmd)
	cmd.AddCommand(c.relayStatusCommand(), c.relayCheckCommand(), c.relayReloadCommand(), c.relayExportCommand(), c.relayImportCommand(), c.relayTokenCommand(), c.relayFriendsCommand(), c.relayAddCommand(), c.relayRemoveCommand(), c.relayListCommand())
	return cmd
}

func (c *cli) relay(ctx context.Context, data string) error {
	cfg, _, err := c.load()
	if err != nil {
		return err
	}
	if data == "" {
		data = cfg.Dirs.Relay
	}
	if data, err = filepath.Abs(data); err != nil {
		return problem.New(problem.RelayDir, err)
	}
	if err := onLoopback(cfg.HTTP); err != nil {
		return c.badSetting("http", err)
	}
	usual := cfg.LogLevel
	if isTerminal(c.out) && isTerminal(c.err) {
		usual = slog.LevelWarn // the events on the same screen say the rest
	}
	level := slog.HandlerOptions{Level: c.logLevel(cfg, usual)}
	// libp2p would say, at -v, who reaches whom through this relay.
	gologshim.SetDefaultHandler(slog.DiscardHandler)
	socket, err := config.RelaySocket(data, c.getenv)
	if err != nil {
		return err
	}
	if filepath.Base(socket) != filepath.Base(relay.Socket(data)) { // not beside the data
		if err := config.MakePrivate(filepath.Dir(socket)); err != nil {
			return err
		}
	}
	var keep func(relay.StoreConfig) (relay.Store, error)
	if cfg.Store != "" {
		if relay.OwnMail(data) {
			return app.RelayProblem(relay.ErrOwnMail)
		}
		if keep, err = sharedStore(ctx, cfg.Store); err != nil {
			return c.badSetting("store", err)
		}
	}
	systemd := supervised(c.getenv)
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP) // from now on it does not end the process
	defer signal.Stop(hangup)
	r, err := relay.New(relay.Config{
		Store:  keep,
		Socket: socket, Data: data, Mode: node.Mode(cfg.Network), Listen: cfg.Listen, Announce: cfg.Announce, Peers: cfg.Peers, Listed: cfg.Listed, Limits: app.RelayLimits(cfg), HTTP: cfg.HTTP, Version: config.Version,
		Logger: slog.New(slog.NewTextHandler(c.err, &level)),
		Event: func(e relay.Event) {
			c.relayEvent(e, data, cfg)
			status := "STATUS=" + strings.TrimSuffix(string(e.State)+": "+e.Reason, ": ")
			switch e.State {
			case relay.Ready:
				systemd.tell("READY=1", status)
			case relay.Stopping:
				systemd.tell("STOPPING=1", status)
			default:
				systemd.tell(status)
			}
		},
		Reload: func() (relay.Limits, []string, error) {
			now, _, err := c.load()
			return app.RelayLimits(now), later(cfg, now), err
		},
	})
	if err != nil {
		return app.RelayProblem(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var listening sync.WaitGroup
	defer listening.Wait()
	defer cancel()
	listening.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangup:
				systemd.reloading(func() { _, _ = r.Reload() }) // which logs what came of it
			}
		}
	})
	listening.Go(func() { systemd.watch(ctx, func() { r.Report() }) })
	if err := r.Run(ctx); err != nil && ctx.Err() == nil {
		return app.RelayProblem(err)
	}
	return nil
}

// badSetting is what is wrong with a setting that was read well.
func (c *cli) badSetting(key string, err error) error {
	if _, flag := c.flags[key]; flag {
		return problem.New(problem.Usage, err)
	}
	return problem.New(problem.ConfigValue, err)
}

// sharedStore opens the store that several relays share, at a URL.
func sharedStore(ctx context.Context, url string) (func(relay.StoreConfig) (relay.Store, error), error) {
	cfg, err := jetstream.ParseURL(url)
	if err != nil {
		return nil, err
	}
	return func(c relay.StoreConfig) (relay.Store, error) {
		s, err := jetstream.Open(ctx, natsMail{cfg}.of(c))
		if err != nil {
			return nil, storeError(err)
		}
		return s, nil
	}, nil
}

// onLoopback refuses to show a relay's state to others: who wants that puts a server
// of their own in front.
func onLoopback(http string) error {
	if http == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(http)
	if err != nil {
		return fmt.Errorf("http: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("http: %s is not an address of this computer alone, such as 127.0.0.1", host)
	}
	return nil
}

// relayEvent prints what the relay says of itself: that it is ready with all that its
// operator wants to know then, and what follows as any other event.
func (c *cli) relayEvent(e relay.Event, data string, cfg config.Config) {
	v := api.Event{Event: api.EventRelay, At: api.Time{Time: time.Now()}, State: string(e.State), Peer: e.Peer, Addrs: e.Addrs, HTTP: e.HTTP, Reason: e.Reason}
	if e.State != relay.Ready {
		_ = c.event(v) // a reader that has gone does not stop the mail
		return
	}
	v.Event, v.State = api.EventReady, ""
	_ = c.result(v, func(w io.Writer) {
		row := rows(w)
		row("ready", "%s", e.Peer)
		relayAddrs(w, e.Addrs)
		if e.HTTP != "" {
			row("page", "http://%s", e.HTTP)
		}
		where := "in " + data
		if cfg.Store != "" {
			where = "of each server of the store; its index is in " + data
		}
		row("disk", "at most %s %s", humanize.IBytes(uint64(cfg.MaxDisk)), where)
		humanAllows(w, e.Allows)
	})
	if c.json || c.quiet || len(e.Addrs) == 0 {
		return
	}
	if c.terminalOut() {
		_ = drawQR(c.out, e.Addrs[0], c.getenv("NO_COLOR") == "") // which is written above
	}
	c.note("Keep your mail there with `godwit relay add ADDRESS`. Whether others reach it, `godwit relay check ADDRESS` on another computer tells.")
}

// rows writes rows of a name and what there is to say.
func rows(w io.Writer) func(name, format string, args ...any) {
	return func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
}

// relayAddrs says where others reach a relay.
func relayAddrs(w io.Writer, addrs []string) {
	row := rows(w)
	for _, a := range addrs {
		row("address", "%s", a)
	}
	if len(addrs) == 0 {
		row("address", "none that others could reach is known yet. Behind a router, have it lead a port here (--listen), and say so with --announce")
	}
}

func (c *cli) relayStatusCommand() *cobra.Command {
	var data string
	var watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what a relay on this computer holds and does",
		Long: "Shows what a relay on this computer holds and does. With --watch it looks again every 2 s, and tells how fast it goes, until it is interrupted, which is how it ends:\n" +
			"with exit status 0. With --quiet it says in one line how the relay is. The exit status is 0 whenever a relay answers, and 69 where none runs.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			socket, data, err := c.relaySocket(data)
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			var before *relay.Report
			for {
				s, err := relay.Status(ctx, socket)
				if err != nil {
					return relayHere(err, data)
				}
				err = c.result(s, func(w io.Writer) {
					switch {
					case c.quiet:
						fmt.Fprintln(w, visible(s.Health))
						return
					case watch && c.terminalOut():
						fmt.Fprint(w, "\x1b[H\x1b[2J") // the screen shows how it is now
					case before != nil:
						fmt.Fprintln(w)
					}
					humanRelayStatus(w, s)
					if before != nil {
						humanRates(w, *before, s)
					}
				})
				if err != nil || !watch {
					return err
				}
				before = &s
				select {
				case <-ctx.Done():
					return nil // being interrupted is how it ends
				case <-time.After(watchInterval):
				}
			}
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "the relay's `DIR`")
	cmd.Flags().BoolVar(&watch, "watch", false, "look again every 2 s until interrupted")
	return cmd
}

func humanRelayStatus(w io.Writer, r relay.Report) {
	row := rows(w)
	fmt.Fprintln(w, visible(r.Health))
	row("relay", "%s", r.Peer)
	relayAddrs(w, r.Addrs)
	row("state", "%s, up for %s, version %s", r.State, relay.InWords(r.Uptime), r.Version)
	row("mail", "%s", r.Mail())
	if r.Oldest > 0 {
		row("oldest", "%s", r.Since())
	}
	row("disk", "%s", r.Space())
	if r.Foreign > 0 {
		row("store", "%s in it that no relay made: somebody else may write there", humanize.Comma(r.Foreign)+" messages are")
	}
	row("traffic", "%s", r.Traffic())
	row("served", "%s deposits in %s commits, %s fetched, %s deleted, %s refused", humanize.Comma(r.Deposits), humanize.Comma(r.Groups),
		humanize.Comma(r.Fetches), humanize.Comma(r.Deletions), humanize.Comma(r.Refusals))
	row("now", "%s peers and %s streams; %s servers of the DHT known", humanize.Comma(r.Peers), humanize.Comma(r.Streams), humanize.Comma(r.DHT))
	row("circuits", "%s", r.Ways())
	row("kept out", "%s connections and %s streams; %s made room for others", humanize.Comma(int64(r.Turned.Connections()-r.Turned.Displaced)),
		humanize.Comma(int64(r.Turned.Streams+r.Turned.StreamRate)), humanize.Comma(int64(r.Turned.Displaced)))
	row("takes", "%s", r.Bounds)
	humanAllows(w, r.Allows)
}

// humanRates says how fast it goes, by what was counted before.
func humanRates(w io.Writer, before, now relay.Report) {
	seconds := now.Uptime - before.Uptime
	if seconds <= 0 { // it was started anew
		return
	}
	rate := func(n int64) string { return humanize.FtoaWithDigits(float64(n)/seconds, 1) }
	fmt.Fprintf(w, "%-10s %s deposits, %s fetches and %s refusals a second", "speed", rate(now.Deposits-before.Deposits), rate(now.Fetches-before.Fetches), rate(now.Refusals-before.Refusals))
	if groups := now.Groups - before.Groups; groups > 0 {
		fmt.Fprintf(w, "; %.1f ms a commit", (now.Committing-before.Committing)/float64(groups)*1000)
	}
	fmt.Fprintln(w)
}

func (c *cli) relayReloadCommand() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have a relay on this computer read its limits anew",
		Long: "Has a relay on this computer read its limits anew, as SIGHUP does: all of them or, if one is not to be used, none. What it keeps stays, and so\n" +
			"does what peers that are connected were told. The network, where it listens, what it starts from and where its page is are read when it starts: it says which of these wait for that.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			socket, data, err := c.relaySocket(data)
			if err != nil {
				return err
			}
			what, err := relay.Reload(cmd.Context(), socket)
			if err != nil {
				return relayHere(err, data)
			}
			return c.result(what, func(w io.Writer) {
				switch {
				case len(what.Changed) > 0:
					fmt.Fprintf(w, "From now on: %s.\n", strings.Join(what.Changed, ", "))
				case len(what.Later) == 0:
					fmt.Fprintln(w, "Nothing has changed.")
				}
				if len(what.Later) > 0 {
					fmt.Fprintf(w, "Once the relay is started anew: %s.\n", strings.Join(what.Later, ", "))
				}
			})
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "the relay's `DIR`")
	return cmd
}

// later are the settings that are not as they were when a relay was started, and that it reads only then.
func later(then, now config.Config) (names []string) {
	note := func(name string, differs bool) {
		if differs {
			names = append(names, name)
		}
	}
	note("network", then.Network != now.Network)
	note("listen", !slices.Equal(then.Listen, now.Listen))
	note("announce", !slices.Equal(then.Announce, now.Announce))
	note("peer", !slices.Equal(then.Peers, now.Peers))
	note("bootstrap", then.Bootstrap != now.Bootstrap || !slices.Equal(then.Listed, now.Listed))
	note("http", then.HTTP != now.HTTP)
	note("store", then.Store != now.Store)
	note("log_level", then.LogLevel != now.LogLevel)
	return names
}

// relayHere says why the relay of a directory did not do what it was asked.
func relayHere(err error, data string) error {
	switch {
	case errors.Is(err, relay.ErrNotRunning):
		return problem.Newf(problem.NoRelayHere, "%s", data)
	case errors.Is(err, relay.ErrReload):
		return problem.New(problem.LimitsStay, err)
	}
	return app.RelayProblem(err)
}

// relaySocket is where the relay of a directory is asked: of --data, or else the usual one. No
// configuration is read for it: what is wrong with that of a relay that runs, the relay says.
func (c *cli) relaySocket(data string) (socket, dir string, err error) {
	if data == "" {
		dirs, err := config.FindDirs(c.profile, c.getenv)
		if err != nil {
			return "", "", err
		}
		data = dirs.Relay
	}
	socket, err = config.RelaySocket(data, c.getenv)
	return socket, data, err
}

func (c *cli) relayTokenCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "token",
		Short: "Make a token that pays for a box at a relay of yours",
		Long: "Makes a token. Write it into lease_token of the relay's config.toml and reload the relay; give it to those who may keep their mail there, who add the relay\n" +
			"with `godwit relay add ADDRESS --token TOKEN`. With lease = \"token\" nobody else may.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			t := relayToken{config.NewToken()}
			return c.result(t, func(w io.Writer) { fmt.Fprintln(w, t.Token) })
		},
	}
}

// relayToken is what `relay token` prints.
type relayToken struct {
	Token string `json:"token"`
}

// tokenFlag reads a token that was given by --token; empty is none.
func tokenFlag(text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	token, err := config.ParseToken(text)
	if err != nil {
		return nil, problem.New(problem.BadToken, err)
	}
	return token, nil
}

func (c *cli) relayAddCommand() *cobra.Command {
	var token string
	cmd := &cobra.Command{
		Use:   "add MULTIADDR",
		Short: "Keep this account's mail at a relay",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.changeRelay(cmd.Context(), func(ctx context.Context, a account) (api.Relay, error) {
				r, err := a.AddRelay(ctx, api.AddRelayRequest{Addr: args[0], Token: token})
				if err != nil || !a.own {
					return r, err
				}
				// Say whether it can be reached, before this app ends.
				s, err := a.settledStatus(ctx)
				if i := slices.IndexFunc(s.Relays, func(now api.Relay) bool { return now.Relay == r.Relay }); i >= 0 {
					r = s.Relays[i]
				}
				return r, err
			}, humanRelay)
		},
	}
	cmd.Flags().StringVar(&token, "token", "", "the `TOKEN` that the relay's operator gave you")
	return cmd
}

func (c *cli) relayRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove RELAY",
		Short: "Give a relay up",
		Long:  "Gives a relay up. RELAY is its peer id, at least the first 12 letters of it if no other relay's begins with them, or its address.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			remove := func(ctx context.Context, a account) (api.Relay, error) {
				return a.RemoveRelay(ctx, api.RelayRequest{Relay: args[0]})
			}
			return c.changeRelay(cmd.Context(), remove, func(w io.Writer, r api.Relay) {
				fmt.Fprintf(w, "%s is given up. What others leave there before they know is still fetched.\n", r.Relay)
			})
		},
	}
}

func (c *cli) changeRelay(ctx context.Context, change func(context.Context, account) (api.Relay, error), human func(io.Writer, api.Relay)) error {
	return c.with(ctx, nil, func(ctx context.Context, a account) error {
		r, err := change(ctx, a)
		if err != nil {
			return err
		}
		return c.result(r, func(w io.Writer) { human(w, r) })
	})
}

func (c *cli) relayListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the relays that keep this account's mail",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
				if _, err := a.settledStatus(ctx); err != nil {
					return err
				}
				list, err := a.Relays(ctx, api.RelaysRequest{})
				if err != nil {
					return err
				}
				return results(c, list, "No relays. Add one with `godwit relay add ADDRESS`, or run one with `godwit relay`.", humanRelay)
			})
		},
	}
}
