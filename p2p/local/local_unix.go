//go:build unix

package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// Listen listens at a path, in place of what a program that died has left there. The caller
// sees to it that nobody listens there (a lock), and that the directory is there.
func Listen(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	// The directory is private already; this holds even where it is not.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return private{l}, nil
}

// private hangs up on other users, root aside, who may do as this one.
type private struct{ *net.UnixListener }

func (p private) Accept() (net.Conn, error) {
	for {
		conn, err := p.UnixListener.Accept()
		if err != nil {
			return nil, err
		}
		if user, err := userOf(conn); err == nil && (user == os.Geteuid() || user == 0) {
			return conn, nil
		}
		conn.Close()
	}
}

// Dial reaches who listens at a path. The error is ErrNobody if nobody does, and wraps ErrOther if it is another user: where
// a socket lies in a place for all, such as /tmp, anybody may have been there first.
func Dial(ctx context.Context, path string) (net.Conn, error) { return dial(ctx, path, false) }

// DialAsRoot is Dial, but root reaches a program of another user too, such as a service's.
func DialAsRoot(ctx context.Context, path string) (net.Conn, error) {
	return dial(ctx, path, os.Geteuid() == 0)
}

func dial(ctx context.Context, path string, others bool) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOTDIR) {
		return nil, ErrNobody // a socket that refuses is left over from a process that died
	}
	if err != nil || others {
		return conn, err
	}
	user, err := userOf(conn)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if user != os.Geteuid() {
		return nil, errors.Join(fmt.Errorf("%w: at %s listens user %d", ErrOther, path, user), conn.Close())
	}
	return conn, nil
}

// userOf is the user whose program is at the other end.
func userOf(conn net.Conn) (user int, err error) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return 0, fmt.Errorf("local: a connection of the kind %T tells no user", conn)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	if e := raw.Control(func(fd uintptr) { user, err = userAt(int(fd)) }); e != nil {
		return 0, e
	}
	return user, err
}
