package main

import (
	"context"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/problem"
)

type cobraCommand = cobra.Command

// root is the tree of all commands.
func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "godwit",
		Short:         "A messenger without servers",
		Long:          "Godwit is a messenger in which the people's own computers are the whole system.",
		SilenceErrors: true, // run prints them, with their code
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          c.group,
	}
	f := root.PersistentFlags()
	f.StringVar(&c.profile, "profile", "", "keep everything under `DIR` (or GODWIT_HOME)")
	c.setting(root, true, "network", "", "public, lan or loopback (or GODWIT_NETWORK)")
	f.BoolVar(&c.json, "json", false, "print JSON, one object a line")
	f.BoolVar(&c.quiet, "quiet", false, "print results only")
	f.BoolVarP(&c.verbose, "verbose", "v", false, "say on standard error what happens")

	root.AddCommand(
		c.initCommand(), c.nodeCommand(), c.relayCommand(),
		c.inviteCommand(), c.invitesCommand(), c.acceptCommand(),
		c.contactsCommand(), c.contactCommand(), c.verifyCommand(),
		c.sendCommand(), c.messagesCommand(), c.listenCommand(),
		c.statusCommand(), c.phraseCommand(), c.recoverCommand(), c.lockCommand(), c.unlockCommand(),
		c.demoCommand(), c.benchCommand(),
		c.configCommand(), c.explainCommand(), c.versionCommand(), c.manCommand(),
	)
	root.InitDefaultCompletionCmd()
	return root
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
func (c *cli) passphrase(context.Context) (string, error) {
	if p := c.getenv("GODWIT_PASSPHRASE"); p != "" {
		return p, nil
	}
	if !c.terminalIn() {
		return "", problem.New(problem.Locked, nil)
	}
	return c.askSecret("Passphrase: ")
}
