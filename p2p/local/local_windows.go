package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"strings"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"
)

// Listen listens at the pipe of a path.
func Listen(path string) (net.Listener, error) {
	name, err := pipe(path)
	if err != nil {
		return nil, err
	}
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, err
	}
	return winio.ListenPipe(name, &winio.PipeConfig{
		SecurityDescriptor: fmt.Sprintf("D:P(D;;GA;;;NU)(A;;GA;;;%s)", user.User.Sid),
	})
}

// Dial reaches who listens at the pipe of a path. The error is ErrNobody if nobody does.
func Dial(ctx context.Context, path string) (net.Conn, error) {
	name, err := pipe(path)
	if err != nil {
		return nil, err
	}
	conn, err := winio.DialPipeContext(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNobody
	}
	return conn, err
}

// DialAsRoot is Dial: there is no such user.
func DialAsRoot(ctx context.Context, path string) (net.Conn, error) { return Dial(ctx, path) }

// pipe is the name of a path's pipe.
func pipe(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(strings.ToLower(abs))) // as Windows compares paths
	return `\\.\pipe\godwit-` + hex.EncodeToString(sum[:8]), nil
}
