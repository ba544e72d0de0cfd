package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/problem"
)

func (c *cli) configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check, show or change the configuration", Args: cobra.NoArgs, RunE: c.group}
	var origin bool
	show := &cobra.Command{
		Use:   "show",
		Short: "Show every setting",
		Long:  "Shows every setting, and with --origin where its value comes from: a flag, the environment, a line of the file, or the default.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, settings, err := c.load()
			if err != nil {
				return err
			}
			for _, s := range settings {
				if err := c.showSetting(s, origin); err != nil {
					return err
				}
			}
			return nil
		},
	}
	show.Flags().BoolVar(&origin, "origin", false, "say where each value comes from")
	set := &cobra.Command{
		Use:   "set KEY on|off",
		Short: "Change what you share with contacts",
		Long:  "Changes read_receipts or typing, in config.toml and in a node that runs. Other settings are changed in the file, for the next start.",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var r api.SetSettingsRequest
			on := args[1] == "on"
			switch args[0] {
			case "read_receipts":
				r.ReadReceipts = &on
			case "typing":
				r.Typing = &on
			default:
				return problem.Newf(problem.Usage, "%s is not read_receipts or typing", args[0])
			}
			if !on && args[1] != "off" {
				return problem.Newf(problem.Usage, "%s is not on or off", args[1])
			}
			return c.with(cmd.Context(), nil, func(ctx context.Context, a account) error {
				v, err := a.SetSettings(ctx, r)
				if err != nil {
					return err
				}
				return c.result(v, func(w io.Writer) { fmt.Fprintf(w, "%s is %s\n", args[0], args[1]) })
			})
		},
	}
	cmd.AddCommand(show, set, &cobra.Command{
		Use:   "check",
		Short: "Say whether the configuration is right",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := c.load()
			if err != nil {
				return err
			}
			checked := struct {
				File  string `json:"file"`
				There bool   `json:"there"`
				OK    bool   `json:"ok"`
			}{cfg.Dirs.ConfigFile, true, true}
			if _, err := os.Stat(checked.File); errors.Is(err, fs.ErrNotExist) {
				checked.There = false
			}
			return c.result(checked, func(w io.Writer) {
				if checked.There {
					fmt.Fprintf(w, "%s is right.\n", checked.File)
				} else {
					fmt.Fprintf(w, "There is no %s: the defaults hold.\n", checked.File)
				}
			})
		},
	})
	return cmd
}

func (c *cli) showSetting(s config.Setting, origin bool) error {
	shown := struct {
		Key    string   `json:"key"`
		Values []string `json:"values"`
		Origin string   `json:"origin,omitempty"`
	}{s.Key, s.Values, ""}
	if shown.Values == nil {
		shown.Values = []string{}
	}
	if origin {
		shown.Origin = s.Origin
	}
	return c.result(shown, func(w io.Writer) {
		line := fmt.Sprintf("%-17s %s", s.Key, strings.Join(s.Values, ", "))
		if origin {
			line = fmt.Sprintf("%-40s # %s", line, s.Origin)
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	})
}
