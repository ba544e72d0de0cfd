package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app/config"
)

func (c *cli) configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check or show the configuration", Args: cobra.NoArgs, RunE: c.group}
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
	cmd.AddCommand(show, &cobra.Command{
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
		line := fmt.Sprintf("%-10s %s", s.Key, strings.Join(s.Values, ", "))
		if origin {
			line = fmt.Sprintf("%-40s # %s", line, s.Origin)
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	})
}
