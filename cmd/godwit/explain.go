package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/problem"
)

// explanation is a row of the table of problems in JSON.
type explanation struct {
	Code  problem.Code `json:"code"`
	Exit  int          `json:"exit,omitempty"` // absent: no command ends with it
	What  string       `json:"what"`
	Means string       `json:"means"`
	Do    string       `json:"do"`
}

func explain(p problem.Problem) explanation {
	e := explanation(p)
	if p.Code.Reason() {
		e.Exit = 0
	}
	return e
}

func (c *cli) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [CODE]",
		Short: "Explain a problem's code, or list all",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				for _, p := range problem.All() {
					if err := c.result(explain(p), func(w io.Writer) { fmt.Fprintf(w, "%s  %s\n", string(p.Code), p.What) }); err != nil {
						return err
					}
				}
				return nil
			}
			p, ok := problem.Lookup(problem.Code(args[0]))
			if !ok {
				return problem.Newf(problem.NoSuchID, "no problem has the code %q; `godwit explain` lists all", args[0])
			}
			return c.result(explain(p), func(w io.Writer) {
				fmt.Fprintf(w, "%s: %s.\n\nWhat it means: %s\n\nWhat to do: %s\n\n", string(p.Code), p.What, p.Means, p.Do)
				if p.Code.Reason() {
					fmt.Fprintln(w, "It is told as the reason for a message's state, or in `godwit status`; no command ends with it.")
				} else {
					fmt.Fprintf(w, "A command that ends with it has exit status %d.\n", p.Exit)
				}
			})
		},
	}
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return c.version() },
	}
}

func (c *cli) version() error {
	v := struct {
		Version string `json:"version"`
		Go      string `json:"go"`
		System  string `json:"system"`
	}{config.Version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
	return c.result(v, func(w io.Writer) { fmt.Fprintf(w, "godwit %s (%s, %s)\n", v.Version, v.Go, v.System) })
}
