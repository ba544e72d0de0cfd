package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/libp2p/go-libp2p/gologshim"
	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/problem"
)

type cobraCommand = cobra.Command

// root is the tree of all commands.
func (c *cli) root() *cobra.Command {
	version := false
	root := &cobra.Command{
		Use:   "godwit",
		Short: "A messenger without servers",
		Long: "Godwit is a messenger in which the people's own computers are the whole system.\n" +
			"A command that finds no running node of the profile runs one for its own duration.\n" +
			"CONTACT is a petname, an account id, or the beginning of one: at least 4 letters that no other contact's begins with.",
		SilenceErrors: true, // run prints them, with their code
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if version {
				return c.version()
			}
			return c.group(cmd, args)
		},
	}
	root.Flags().BoolVar(&version, "version", false, "show the version")
	f := root.PersistentFlags()
	f.StringVar(&c.profile, "profile", "", "keep everything under `DIR` (or GODWIT_HOME)")
	c.setting(root, true, "network", "", "public, lan or loopback (or GODWIT_NETWORK)")
	c.setting(root, true, "private_routing", "on|only|off", "leave messages at relays by way of other relays; only: never straight; on if the network is public")
	f.BoolVar(&c.json, "json", false, "print JSON, one object a line")
	f.BoolVar(&c.quiet, "quiet", false, "print results only")
	f.BoolVarP(&c.verbose, "verbose", "v", false, "say on standard error what happens")

	root.AddCommand(
		c.initCommand(), c.nodeCommand(), c.relayCommand(),
		c.inviteCommand(), c.invitesCommand(), c.acceptCommand(),
		c.requestsCommand(), c.requestCommand(), c.contactsCommand(), c.contactCommand(), c.verifyCommand(),
		c.sendCommand(), c.messagesCommand(), c.listenCommand(),
		c.reactCommand(), c.editCommand(), c.deleteCommand(), c.forwardCommand(), c.timerCommand(), c.readCommand(), c.introduceCommand(),
		c.chatsCommand(), c.searchCommand(), c.noteCommand(), c.echoCommand(),
		c.statusCommand(), c.phraseCommand(), c.recoverCommand(), c.lockCommand(), c.unlockCommand(),
		c.demoCommand(), c.benchCommand(),
		c.configCommand(), c.explainCommand(), c.versionCommand(), c.manCommand(),
	)
	root.AddCommand(c.arrangeCommands()...)
	root.AddCommand(c.starCommands()...)
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, sub := range root.Commands() {
		// Cobra's own answer a mistyped word with help, and success.
		switch sub.Name() {
		case "completion":
			sub.Args, sub.RunE = cobra.NoArgs, c.group
		case "help":
			sub.Run, sub.RunE = nil, c.help
		}
	}
	return root
}

// help is `help COMMAND`.
func (c *cli) help(cmd *cobra.Command, args []string) error {
	about, rest, err := cmd.Root().Find(args)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%s has no command %q", about.CommandPath(), rest[0])
	}
	if err != nil {
		return problem.New(problem.Usage, err)
	}
	about.InitDefaultHelpFlag()
	return about.Help()
}

// begin is what comes before every command.
func (c *cli) begin(cmd *cobra.Command) error {
	if f := cmd.Flags().Lookup("profile"); f != nil && f.Changed && c.profile == "" {
		// Most likely a variable that is not set: the usual profile is not meant.
		return problem.Newf(problem.Usage, "--profile wants a directory")
	}
	for _, name := range []string{"name", "data"} {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed && f.Value.String() == "" {
			return problem.Newf(problem.Usage, "--%s is empty: leave it out instead", name)
		}
	}
	c.muteLibraries()
	return nil
}

// muteLibraries keeps what libraries log by themselves off the terminal: it names
// peers and addresses, and what a person should know of it comes as a problem or an
// event. -v shows it.
func (c *cli) muteLibraries() {
	handler := slog.DiscardHandler
	if c.verbose {
		handler = slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelInfo})
	}
	gologshim.SetDefaultHandler(handler)
	slog.SetDefault(slog.New(handler)) // package log too
}

// group is what a command does that only has commands below it.
func (c *cli) group(cmd *cobra.Command, _ []string) error {
	return problem.Newf(problem.Usage, "%s wants one of: %s", cmd.CommandPath(), strings.Join(subcommands(cmd), ", "))
}

func subcommands(cmd *cobra.Command) []string {
	var names []string
	for _, s := range cmd.Commands() {
		if s.IsAvailableCommand() {
			names = append(names, s.Name())
		}
	}
	return names
}

// setting gives a command the flag of one of config's keys. What is given goes
// to config.Load, which checks it.
func (c *cli) setting(cmd *cobra.Command, persistent bool, key, value, usage string) {
	flags := cmd.Flags()
	if persistent {
		flags = cmd.PersistentFlags()
	}
	flags.Var(settingFlag{c, key, value}, config.FlagName(key), usage)
}

// settingFlag collects what a flag was given, under its key.
type settingFlag struct {
	c     *cli
	key   string
	value string // what help calls the value; empty: NAME
}

func (s settingFlag) Set(v string) error {
	if s.c.flags == nil {
		s.c.flags = map[string][]string{}
	}
	s.c.flags[s.key] = append(s.c.flags[s.key], v)
	return nil
}
func (s settingFlag) String() string { return "" }
func (s settingFlag) Type() string {
	if s.value == "" {
		return "NAME"
	}
	return s.value
}

// load reads the configuration with what this command line adds to it.
func (c *cli) load() (config.Config, []config.Setting, error) {
	cfg, settings, err := config.Load(config.Sources{Getenv: c.getenv, Profile: c.profile, Flags: c.flags})
	if err != nil {
		return cfg, nil, err
	}
	cfg.Passphrase = c.passphrase
	cfg.Logger = slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: c.logLevel(cfg, slog.LevelError)}))
	return cfg, settings, nil
}

// logLevel is how much goes to standard error: a command says only what is
// wrong (usual), a node or relay what the configuration wants; -v says all.
func (c *cli) logLevel(cfg config.Config, usual slog.Level) slog.Level {
	switch {
	case c.verbose:
		return slog.LevelDebug
	case c.quiet:
		return slog.LevelError
	}
	return max(cfg.LogLevel, usual)
}

// passphrase is asked when the keys of a profile need it.
func (c *cli) passphrase(ctx context.Context) (string, error) {
	if p := c.getenv("GODWIT_PASSPHRASE"); p != "" {
		return p, nil
	}
	if !c.terminalIn() {
		return "", problem.New(problem.Locked, nil)
	}
	return c.askSecret(ctx, "Passphrase: ")
}
