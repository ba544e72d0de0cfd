package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Parts of the window that are looked at.
var (
	listPart    = image.Rect(80, 150, 396, 700) // the chats, without the state of the network below them
	contentPart = image.Rect(402, 0, 1090, 690) // the chat, without what is being written
)

// Measures of what is done.
const (
	starts    = 5                      // that count; one before them warms the caches
	chatRows  = 6                      // chats in sight, above the card about the recovery words
	rowTop    = 172                    // middle of the first
	rowHeight = 66                     // px
	opens     = 4 * chatRows           // clicks on a chat
	wheels    = 300                    // steps of the wheel that are timed
	pause     = 120 * time.Millisecond // between them: some frames would fit into it, and xdotool rests for 100 ms after each
	scrolled  = 10_000                 // messages to scroll through
	calm      = 250 * time.Millisecond // nothing more is to come
	idle      = time.Minute
)

// program measures the real one.
func program(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "godwit-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := newScreen(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()

	// Only this computer, and no desktop of whoever runs this.
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_RUNTIME_DIR=" + dir, "DISPLAY=" + s.name,
		"LIBGL_ALWAYS_SOFTWARE=1", "LANG=en_US.UTF-8", "TZ=UTC", "GODWIT_NETWORK=loopback",
	}
	profile := filepath.Join(dir, "profile")
	fill := exec.CommandContext(ctx, "bin/godwit", "--profile", profile, "bench", "profile")
	fill.Env, fill.Stderr = env, os.Stderr
	if err := fill.Run(); err != nil {
		return err
	}
	relay, err := startRelay(ctx, env, filepath.Join(dir, "relay"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end(relay.cmd, os.Interrupt)) }()

	var d *desktop
	var paints, cpu []float64
	for i := range 1 + starts {
		if d != nil {
			if err := end(d.cmd, os.Interrupt); err != nil {
				return err
			}
		}
		before, err := s.look(listPart)
		if err != nil {
			return err
		}
		if d, err = startDesktop(ctx, env, profile, relay.addr); err != nil {
			return err
		}
		at, err := s.settled(ctx, listPart, before, time.Second)
		if err != nil {
			return errors.Join(err, end(d.cmd, os.Kill))
		}
		used, err := d.cpu()
		if err != nil {
			return errors.Join(err, end(d.cmd, os.Kill))
		}
		if i > 0 {
			paints, cpu = append(paints, at.Sub(d.began).Seconds()), append(cpu, used.Seconds())
		}
	}
	defer func() { err = errors.Join(err, end(d.cmd, os.Interrupt)) }()
	print("desktop_first_paint_s", median(paints), "s")
	print("desktop_first_paint_cpu_s", median(cpu), "s")
	for _, step := range []func(context.Context, *screen, *desktop) error{openChats, turnWheel, scrollFar, rest} {
		if err := step(ctx, s, d); err != nil {
			return err
		}
	}
	return nil
}

// openChats clicks on one chat after the other.
func openChats(ctx context.Context, s *screen, d *desktop) error {
	var times, busy []float64
	for i := range opens {
		// The mouse first: what it hovers over is drawn otherwise.
		if err := s.do("mousemove 300 %d", rowTop+rowHeight*(i%chatRows)); err != nil {
			return err
		}
		time.Sleep(calm)
		took, worked, err := s.took(ctx, d, "click 1", calm)
		if err != nil {
			return fmt.Errorf("chat %d: %w", i, err)
		}
		times, busy = append(times, took), append(busy, worked)
	}
	print("timeline_open_first_ms", times[0], "ms")
	print("timeline_open_ms", median(times), "ms")
	print("timeline_open_ms_max", slices.Max(times), "ms")
	print("timeline_open_thread_ms", median(busy), "ms")
	return nil
}

// took is how long it takes after something was done until the chat looks as it stays, and
// how long the thread that draws the window worked for it, in ms.
func (s *screen) took(ctx context.Context, d *desktop, what string, calm time.Duration) (took, worked float64, err error) {
	before, err1 := s.look(contentPart)
	had, err2 := d.thread()
	if err := errors.Join(err1, err2); err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := s.do(what); err != nil {
		return 0, 0, err
	}
	at, err1 := s.settled(ctx, contentPart, before, calm)
	used, err2 := d.thread()
	return ms(at.Sub(began)), ms(used - had), errors.Join(err1, err2)
}

// turnWheel scrolls the longest chat step by step, back into its past.
func turnWheel(ctx context.Context, s *screen, d *desktop) error {
	if err := s.do("mousemove 300 %d click 1 mousemove 750 350", rowTop+2*rowHeight); err != nil { // below two that are pinned
		return err
	}
	time.Sleep(2 * calm)
	var times, busy []float64
	for range wheels {
		took, worked, err := s.took(ctx, d, "click 4", pause)
		if err != nil {
			return fmt.Errorf("the wheel: %w", err)
		}
		times, busy = append(times, took), append(busy, worked)
	}
	slices.Sort(times)
	slices.Sort(busy)
	print("timeline_scroll_ms_median", median(busy), "ms")
	print("timeline_scroll_ms_p99", busy[len(busy)*99/100], "ms")
	print("timeline_wheel_ms_median", median(times), "ms")
	print("timeline_wheel_ms_p99", times[len(times)*99/100], "ms")
	return nil
}

// scrollFar turns page after page until 10,000 messages have been read.
func scrollFar(ctx context.Context, s *screen, d *desktop) error {
	if err := s.do("mousemove %d %d click 1", contentPart.Min.X+6, contentPart.Max.Y/2); err != nil { // beside the messages
		return err
	}
	time.Sleep(calm)
	first, began := d.read.Load(), time.Now()
	had, err := d.cpu()
	if err != nil {
		return err
	}
	for d.read.Load()-first < scrolled {
		if time.Since(began) > 10*patience {
			return fmt.Errorf("only %d messages were read", d.read.Load()-first)
		}
		before, err := s.look(contentPart)
		if err != nil {
			return err
		}
		if err := s.do("key Prior"); err != nil {
			return err
		}
		if _, err := s.settled(ctx, contentPart, before, 0); err != nil {
			return err
		}
	}
	used, err := d.cpu()
	if err != nil {
		return err
	}
	time.Sleep(2 * time.Second)
	rss, err := d.rss()
	if err != nil {
		return err
	}
	print("timeline_scrolled_messages", float64(d.read.Load()-first), "messages")
	print("timeline_scrolled_cpu_ms_per_message", ms(used-had)/float64(d.read.Load()-first), "ms")
	print("desktop_rss_mib", rss, "MiB")
	return nil
}

// rest lets the window be.
func rest(ctx context.Context, _ *screen, d *desktop) error {
	before, err := d.cpu()
	if err != nil {
		return err
	}
	began := time.Now()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(idle):
	}
	after, err := d.cpu()
	if err != nil {
		return err
	}
	print("desktop_idle_cpu_percent", 100*(after-before).Seconds()/time.Since(began).Seconds(), "percent")
	return nil
}

// thread is the CPU time that the thread of the window has had: the first one of the
// process, which handles what the mouse does, lays out, and gives OpenGL what is to be
// drawn. That is drawn by others.
func (d *desktop) thread() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/schedstat", d.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	had, _, _ := strings.Cut(string(stat), " ")
	ns, err := strconv.ParseInt(had, 10, 64)
	return time.Duration(ns), err
}

func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

// relay is one that runs.
type relay struct {
	cmd  *exec.Cmd
	addr string
}

var relayAddress = regexp.MustCompile(`"addrs":\["([^"]+)"`)

func startRelay(ctx context.Context, env []string, data string) (relay, error) {
	ready := make(chan string, 1)
	r := relay{cmd: exec.CommandContext(ctx, "bin/godwit", "relay", "--data", data, "--json")}
	r.cmd.Env = env
	r.cmd.Stdout = &lines{do: func(line []byte) {
		if found := relayAddress.FindSubmatch(line); found != nil {
			select {
			case ready <- string(found[1]):
			default:
			}
		}
	}}
	if err := r.cmd.Start(); err != nil {
		return r, err
	}
	select {
	case r.addr = <-ready:
		return r, nil
	case <-ctx.Done():
	case <-time.After(patience):
	}
	return r, errors.Join(errors.New("the relay did not start"), end(r.cmd, os.Kill))
}

// lines gives what a process writes on, line by line.
type lines struct {
	do   func(line []byte)
	rest []byte
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		l.do(line)
		l.rest = rest
	}
}

// desktop is the program while it runs.
type desktop struct {
	cmd   *exec.Cmd
	began time.Time
	read  atomic.Int64 // messages that it has read from its store, as it says itself
}

var messagesRead = regexp.MustCompile(`messages were read" n=(\d+)`)

func startDesktop(ctx context.Context, env []string, profile, relay string) (*desktop, error) {
	d := &desktop{cmd: exec.CommandContext(ctx, "bin/godwit-desktop", "--profile", profile, "--relay", relay, "--verbose")}
	d.cmd.Env = env
	d.cmd.Stderr = &lines{do: func(line []byte) {
		if found := messagesRead.FindSubmatch(line); found != nil {
			n, _ := strconv.Atoi(string(found[1])) // digits
			d.read.Add(int64(n))
		}
	}}
	d.began = time.Now()
	return d, d.cmd.Start()
}

// rss is the resident set, in MiB: VmRSS of proc(5).
func (d *desktop) rss() (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
			kib, err := strconv.ParseFloat(f[1], 64)
			return kib / 1024, err
		}
	}
	return 0, errors.New("the process has no VmRSS")
}

// cpu is the CPU time used so far: utime and stime of proc(5), in hundredths of a second.
func (d *desktop) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // from the third on
	if len(f) < 13 {
		return 0, errors.New("the process has an odd stat")
	}
	user, err1 := strconv.Atoi(f[11])
	system, err2 := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2)
}
