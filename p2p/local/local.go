// Package local has the programs of one user on one computer talk to each other: over a unix
// socket that nobody else may open, or on Windows over a pipe whose access list names the user
// alone and that is not reached from other computers.
//
// A place is named by a file's path on every system. On Windows no file is made there: the
// pipe's name is made from the path.
package local

import (
	"errors"
	"fmt"
	"io/fs"
)

// ErrNobody says that nothing listens at a path.
var ErrNobody = errors.New("local: nobody listens there")

// ErrOther says that a program of another user listens at a path.
var ErrOther = fmt.Errorf("local: another user is there: %w", fs.ErrPermission)
