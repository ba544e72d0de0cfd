package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"image"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Pixels of the screen in memory.
const (
	screenWidth  = 1280
	screenHeight = 800
)

// screen is one that nobody sees: Xvfb keeps it in a file, so that looking at it
// disturbs nobody. Its mouse is xdotool, which obeys as it reads.
type screen struct {
	name   string // DISPLAY
	file   *os.File
	start  int64 // of the first pixel in the file
	stride int64 // bytes from line to line
	seed   maphash.Seed
	line   []byte
	mouse  io.WriteCloser
	ended  []func() error
}

// newScreen starts a screen; its files are in dir.
func newScreen(ctx context.Context, dir string) (s *screen, err error) {
	s = &screen{seed: maphash.MakeSeed(), line: make([]byte, screenWidth*4)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	r, w, err := os.Pipe()
	if err != nil {
		return s, err
	}
	defer r.Close()
	xvfb := exec.CommandContext(ctx, "Xvfb", "-displayfd", "3", "-screen", "0", fmt.Sprintf("%dx%dx24", screenWidth, screenHeight), "-nolisten", "tcp", "-fbdir", dir)
	xvfb.ExtraFiles = []*os.File{w}
	err = xvfb.Start()
	w.Close()
	if err != nil {
		return s, err
	}
	s.ended = append(s.ended, func() error { return end(xvfb, os.Kill) })
	number, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		return s, fmt.Errorf("no screen by Xvfb: %w", err)
	}
	s.name = ":" + strings.TrimSpace(number)

	if s.file, err = os.Open(filepath.Join(dir, "Xvfb_screen0")); err != nil {
		return s, err
	}
	s.ended = append(s.ended, s.file.Close)
	var head [25]uint32 // of XWDFile.h
	if err := binary.Read(s.file, binary.BigEndian, &head); err != nil {
		return s, err
	}
	const size, bits, stride, colours = 0, 11, 12, 19
	if head[bits] != 32 {
		return s, fmt.Errorf("a screen of %d bits a pixel", head[bits])
	}
	s.start, s.stride = int64(head[size])+12*int64(head[colours]), int64(head[stride])

	tool := exec.CommandContext(ctx, "xdotool", "-")
	tool.Env = append(os.Environ(), "DISPLAY="+s.name)
	if s.mouse, err = tool.StdinPipe(); err != nil {
		return s, err
	}
	if err := tool.Start(); err != nil {
		return s, err
	}
	s.ended = append(s.ended, func() error { return errors.Join(s.mouse.Close(), tool.Wait()) })
	return s, nil
}

// do has the mouse do something: commands of xdotool.
func (s *screen) do(format string, a ...any) error {
	_, err := fmt.Fprintf(s.mouse, format+"\n", a...)
	return err
}

// look is what a part of the screen looks like, as a number: every third line of it.
func (s *screen) look(part image.Rectangle) (uint64, error) {
	var h maphash.Hash
	h.SetSeed(s.seed)
	line := s.line[:4*part.Dx()]
	for y := part.Min.Y; y < part.Max.Y; y += 3 {
		if _, err := s.file.ReadAt(line, s.start+int64(y)*s.stride+4*int64(part.Min.X)); err != nil {
			return 0, err
		}
		h.Write(line)
	}
	return h.Sum64(), nil
}

// glance is how often the screen is looked at.
const glance = time.Millisecond

// patience is how long something that has to happen may take.
const patience = 20 * time.Second

// settled waits until a part of the screen looks otherwise than before, and then has not
// changed for as long as calm; it tells when it first looked as it does now.
func (s *screen) settled(ctx context.Context, part image.Rectangle, before uint64, calm time.Duration) (at time.Time, err error) {
	tick := time.NewTicker(glance)
	defer tick.Stop()
	last, began := before, time.Now()
	for {
		now, err := s.look(part)
		if err != nil {
			return at, err
		}
		switch t := time.Now(); {
		case now != last:
			last, at = now, t
		case last != before && t.Sub(at) > calm:
			return at, nil
		case t.Sub(began) > patience:
			return at, errors.New("the window does not show what it should")
		}
		select {
		case <-ctx.Done():
			return at, ctx.Err()
		case <-tick.C:
		}
	}
}

// close ends what was started, the last first.
func (s *screen) close() (err error) {
	for i := range s.ended {
		err = errors.Join(err, s.ended[len(s.ended)-1-i]())
	}
	s.ended = nil
	return err
}

// end sends a process a signal and waits for its end, however it comes.
func end(cmd *exec.Cmd, signal os.Signal) error {
	if err := cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return err
	}
	return nil
}
