package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/term"
	"rsc.io/qr"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/problem"
)

// result prints what a command found out: JSON with --json, else what human
// writes.
func (c *cli) result(v any, human func(w io.Writer)) error {
	if !c.json {
		human(c.out)
		return c.written()
	}
	line, err := api.Encode(v)
	if err != nil {
		return err
	}
	_, _ = c.out.Write(append(line, '\n')) // written knows
	return c.written()
}

// output is standard output, which remembers the first failure: what writes for people
// does not look after each line.
type output struct {
	w   io.Writer
	mu  sync.Mutex // a relay's events come from several goroutines
	err error
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.w.Write(b)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// written is the problem of an output that has failed, or nil.
func (c *cli) written() error {
	o, ok := c.out.(*output)
	if !ok {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return problem.New(problem.OutputLost, o.err)
	}
	return nil
}

// results prints a list: one JSON object a line, or one human line each, or a
// sentence where there is nothing.
func results[T any](c *cli, items []T, none string, human func(w io.Writer, item T)) error {
	if len(items) == 0 && !c.json && !c.quiet {
		fmt.Fprintln(c.out, none)
	}
	for _, item := range items {
		if err := c.result(item, func(w io.Writer) { human(w, item) }); err != nil {
			return err
		}
	}
	return nil
}

// note tells a person something beside the result.
func (c *cli) note(format string, args ...any) {
	if !c.quiet && !c.json {
		fmt.Fprintf(c.err, format+"\n", args...)
	}
}

// fail prints a problem and returns its exit status.
func (c *cli) fail(err error) int {
	p := problem.From(err)
	if c.json {
		line, encErr := api.Encode(api.NewFailure(err))
		if encErr != nil {
			line = []byte(p.Error())
		}
		fmt.Fprintf(c.err, "%s\n", line)
		return p.Exit
	}
	fmt.Fprintf(c.err, "godwit: %s. (%s)\n", p.What, string(p.Code))
	if d := p.Detail(); d != "" {
		fmt.Fprintf(c.err, "  %s\n", visible(d))
	}
	if !c.quiet {
		fmt.Fprintf(c.err, "%s\n%s\n", p.Means, p.Do)
	}
	return p.Exit
}

// visible makes text of others safe to print on a terminal: control characters,
// which could move the cursor or retitle the window, and bidirectional ones,
// which could make a line read differently, are shown as escapes.
func visible(s string) string {
	return escape(s, "")
}

// visibleLines is visible, but keeps line breaks and indents what follows them.
func visibleLines(s, indent string) string {
	return escape(strings.ReplaceAll(s, "\r\n", "\n"), indent)
}

func escape(s, indent string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' && indent != "":
			b.WriteString("\n" + indent)
		case r == '\t' && indent != "":
			b.WriteByte('\t')
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029':
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// when is a moment as a person reads it, in their own time zone.
func when(t api.Time) string { return t.Local().Format("2006-01-02 15:04") }

// day is a date as a person reads it.
func day(t api.Time) string { return t.Local().Format("2 Jan") }

// age is a length of time without needless digits.
func age(d time.Duration) string { return d.Round(time.Second).String() }

func isTerminal(v any) bool {
	if o, ok := v.(*output); ok {
		v = o.w
	}
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (c *cli) terminalIn() bool  { return isTerminal(c.in) }
func (c *cli) terminalOut() bool { return isTerminal(c.out) }

// interruptibly reads, or returns when the context ends. A read of a terminal
// cannot be called back: it then lasts as long as the process, which is on its way
// out.
func interruptibly[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		v, err := read()
		answers <- answer{v, err}
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// askSecret reads a line from the terminal without showing it.
func (c *cli) askSecret(ctx context.Context, prompt string) (string, error) {
	fd := int(c.in.(*os.File).Fd())
	shown, err := term.GetState(fd)
	if err != nil {
		return "", problem.New(problem.Locked, err)
	}
	fmt.Fprint(c.err, prompt)
	b, err := interruptibly(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	fmt.Fprintln(c.err)
	if ctx.Err() != nil {
		return "", errors.Join(ctx.Err(), term.Restore(fd, shown)) // typing is to be seen again
	}
	if err != nil {
		return "", problem.New(problem.Locked, err)
	}
	return string(b), nil
}

// maxLine bounds a line that is read from standard input, in bytes.
const maxLine = 64 << 10

// line reads the next line of standard input.
func (c *cli) line(ctx context.Context) (string, error) {
	if c.lines == nil {
		c.lines = bufio.NewReader(io.LimitReader(c.in, 2*maxLine)) // no command wants more than two
	}
	s, err := interruptibly(ctx, func() (string, error) { return c.lines.ReadString('\n') })
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(s, "\r\n"), nil
}

// drawQR draws a link as a QR code, two modules a character, dark on light
// whatever the terminal's colours. Without colour the light modules have the
// terminal's own: where it writes dark on light the code is inverted, which most
// cameras read all the same.
func drawQR(w io.Writer, link string, colour bool) error {
	code, err := qr.Encode(link, qr.L)
	if err != nil {
		return err
	}
	const quiet = 2 // modules of margin; the standard's 4 would not fit many terminals
	for y := -quiet; y < code.Size+quiet; y += 2 {
		var row strings.Builder
		for x := -quiet; x < code.Size+quiet; x++ {
			switch upper, lower := code.Black(x, y), code.Black(x, y+1); {
			case upper && lower:
				row.WriteRune(' ')
			case upper:
				row.WriteRune('▄')
			case lower:
				row.WriteRune('▀')
			default:
				row.WriteRune('█')
			}
		}
		format := "%s\n"
		if colour {
			format = "\x1b[97;40m%s\x1b[0m\n" // white on black, so that the blocks are the light modules
		}
		if _, err := fmt.Fprintf(w, format, row.String()); err != nil {
			return err
		}
	}
	return nil
}
