//go:build darwin || freebsd

package local

import "golang.org/x/sys/unix"

// userAt is the user at the other end of a socket, when it connected or began to listen: unix(4), LOCAL_PEERCRED.
func userAt(fd int) (int, error) {
	cred, err := unix.GetsockoptXucred(fd, 0, unix.LOCAL_PEERCRED) // level SOL_LOCAL
	if err != nil {
		return 0, err
	}
	return int(cred.Uid), nil
}
