//go:build unix

package local

import (
	"context"
	"errors"
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
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	// The directory is private already; this holds even where it is not.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Dial reaches who listens at a path. The error is ErrNobody if nobody does.
func Dial(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOTDIR) {
		return nil, ErrNobody // a socket that refuses is left over from a process that died
	}
	return conn, err
}
