// Command godwit is Godwit without a window: an account's node, a relay, and the
// command line. It is one static program without cgo.
//
// Every command but a few works on the account of a profile. It finds the node
// that runs there through the local API (app/api), or runs one in this process
// for its own duration (open.go). Results go to standard output, one JSON object
// a line with --json; problems (app/problem) and logs go to standard error, and
// the exit status follows from the problem.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/godwit-im/godwit/app/problem"
)

func main() {
	noCore()
	privately()
	// The first SIGINT or SIGTERM ends a command in order, the second at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	// Who does not read any more must not kill a node or leave a demo's processes behind:
	// the write fails instead, see written.
	signal.Ignore(syscall.SIGPIPE)
	c := &cli{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv}
	os.Exit(c.run(ctx, os.Args[1:]))
}

// cli is one run of the command line: where it reads and writes, and the
// global flags.
type cli struct {
	in       io.Reader
	lines    *bufio.Reader // of in, once a line was read
	out, err io.Writer
	getenv   func(string) string

	profile string              // --profile
	flags   map[string][]string // settings given on the command line, by key
	json    bool                // --json
	quiet   bool                // --quiet
	verbose bool                // -v
	window  time.Duration       // bench --window
	steady  time.Duration       // bench --steady

	natsServer string // bench --nats-server
}

// run executes one command line and returns the exit status.
func (c *cli) run(ctx context.Context, args []string) int {
	c.out = &output{w: c.out}
	root := c.root()
	root.SetArgs(args)
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	began := false
	root.PersistentPreRunE = func(cmd *cobraCommand, _ []string) error {
		began = true
		return c.begin(cmd)
	}
	cmd, err := root.ExecuteContextC(ctx)
	if out := c.out.(*output); out.err != nil && (err == nil || errors.Is(err, out.err) && !errors.Is(err, problem.OutputLost)) {
		err = c.written()
	}
	if err == nil {
		return problem.ExitDone
	}
	if !began && !errors.Is(err, problem.OutputLost) {
		// Cobra's own words: an unknown command or flag, a missing argument.
		if cmd != root {
			err = fmt.Errorf("%w; usage: %s", err, cmd.UseLine())
		}
		err = problem.New(problem.Usage, err)
	}
	return c.fail(err)
}
