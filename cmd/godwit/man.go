package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/problem"
)

func (c *cli) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man",
		Short: "Print the manual page",
		Long:  "Prints the manual page: godwit man | man -l -",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return writeMan(c.out, cmd.Root())
		},
	}
}

// writeMan writes godwit(1) in the man macros (man-pages(7)), made from the
// commands themselves so that it cannot fall behind them.
func writeMan(w io.Writer, root *cobra.Command) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(`.TH GODWIT 1 "" "godwit %s" "User Commands"`, config.Version)
	line(".SH NAME\ngodwit \\- %s", roff(root.Short))
	line(".SH SYNOPSIS\n.B godwit\n[\\fIoptions\\fR] \\fIcommand\\fR [\\fIarguments\\fR]")
	line(".SH DESCRIPTION\n%s", roff(root.Long))
	line(".SH OPTIONS")
	flags(line, root.PersistentFlags())
	line(".SH COMMANDS")
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			if !sub.IsAvailableCommand() {
				continue
			}
			if sub.Runnable() {
				text := sub.Long
				if text == "" || strings.HasPrefix(sub.CommandPath(), "godwit completion") {
					text = sub.Short + "."
				}
				use := strings.TrimPrefix(strings.TrimSuffix(sub.UseLine(), " [flags]"), "godwit ")
				line(".SS %s\n%s", roff(use), roff(text))
				flags(line, sub.LocalNonPersistentFlags())
			}
			walk(sub)
		}
	}
	walk(root)
	line(".SH EXIT STATUS")
	for _, e := range []struct {
		status int
		means  string
	}{
		{problem.ExitDone, "done"}, {problem.ExitFailed, "failed"}, {problem.ExitUsage, "wrong usage"},
		{problem.ExitUnavailable, "something that is needed cannot be reached"}, {problem.ExitCannotMake, "cannot create"},
		{problem.ExitTryAgain, "try again later"}, {problem.ExitPermission, "permission"}, {problem.ExitConfig, "configuration"},
		{problem.ExitTimedOut, "timed out"}, {problem.ExitInterrupted, "interrupted"},
	} {
		line(".TP\n%d\n%s", e.status, e.means)
	}
	line(".SH ENVIRONMENT")
	for _, e := range []struct{ name, means string }{
		{"GODWIT_HOME", "as --profile"},
		{"GODWIT_NETWORK, GODWIT_LISTEN, GODWIT_PEER, GODWIT_RELAY, GODWIT_CHOOSE_RELAYS, GODWIT_MAX_DISK, GODWIT_QUEUE_CELLS, GODWIT_QUEUE_SIZE, GODWIT_BOX_QUEUES, GODWIT_BOX_SIZE, GODWIT_LEASE, GODWIT_LEASE_WORK, GODWIT_LEASE_TOKEN, GODWIT_HTTP, GODWIT_READ_RECEIPTS, GODWIT_TYPING, GODWIT_LOG_LEVEL",
			"settings, over those of config.toml; lists are separated by commas"},
		{"GODWIT_PASSPHRASE", "the passphrase of a locked profile, for commands without a terminal"},
		{"NO_COLOR", "if not empty, no colours are used"},
	} {
		line(".TP\n%s\n%s", roff(e.name), roff(e.means))
	}
	line(".SH FILES\n.TP\n$XDG_CONFIG_HOME/godwit/config.toml\nsettings; see `godwit config show`")
	line(".TP\n$XDG_DATA_HOME/godwit\ndatabase and keys")
	line(".TP\n$XDG_STATE_HOME/godwit\nlogs and lock")
	_, err := io.WriteString(w, b.String())
	return err
}

func flags(line func(string, ...any), set *pflag.FlagSet) {
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name, usage := pflag.UnquoteUsage(f)
		spelt := "--" + f.Name
		if f.Shorthand != "" {
			spelt = "-" + f.Shorthand + ", " + spelt
		}
		if name != "" {
			spelt += " " + name
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" {
			usage += " (default " + f.DefValue + ")"
		}
		line(".TP\n%s\n%s", roff(spelt), roff(usage))
	})
}

// roff escapes text for troff: a backslash, a hyphen that may be copied into a
// shell, and a line that would start a macro.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
