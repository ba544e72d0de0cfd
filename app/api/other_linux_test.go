package api

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/p2p/local"
	"golang.org/x/sys/unix"
)

// as does something as another user of the system, on a thread of its own, which ends with that.
func as(t *testing.T, user int, do func() error) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be several users")
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(user), uintptr(user), uintptr(user)); errno != 0 {
			done <- errno
			return
		}
		done <- do()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// Mallory has an account on Anna's computer. She listens first where Anna's commands would look for her node, in the place that is
// everybody's, and calls Anna's node where its socket is open to her. Neither is told a word.
func TestAnotherUser(t *testing.T) {
	const mallory = 61002
	dir, err := os.MkdirTemp("", "godwit") // that of the test is root's alone
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	var trap net.Listener
	path := filepath.Join(dir, "trap.sock")
	as(t, mallory, func() (err error) {
		trap, err = net.Listen("unix", path)
		return err
	})
	heard := make(chan []byte)
	go func() {
		c, err := trap.Accept()
		if err != nil {
			heard <- nil
			return
		}
		defer c.Close()
		b, _ := io.ReadAll(c)
		heard <- b
	}()
	if c, err := Dial(t.Context(), path); !errors.Is(err, problem.NotPermitted) {
		t.Errorf("Anna's command talks to Mallory: %v, %v", c, err)
	}
	trap.Close()
	if b := <-heard; len(b) > 0 {
		t.Errorf("Mallory heard %q", b)
	}

	path = filepath.Join(dir, "api.sock")
	l, err := local.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(path, 0o777); err != nil { // as it may be for a moment
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = io.WriteString(c, "for Anna")
			c.Close()
		}
		served <- err
	}()
	as(t, mallory, func() error {
		c, err := net.Dial("unix", path)
		if err != nil {
			return err
		}
		defer c.Close()
		if b, _ := io.ReadAll(c); len(b) > 0 {
			t.Errorf("Mallory is told %q", b)
		}
		return nil
	})
	c, err := local.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if b, err := io.ReadAll(c); string(b) != "for Anna" || err != nil || <-served != nil {
		t.Errorf("Anna is told %q: %v", b, err)
	}
}
