package local

import "golang.org/x/sys/unix"

// userAt is the user at the other end of a socket, when it connected or began to listen: unix(7), SO_PEERCRED.
func userAt(fd int) (int, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, err
	}
	return int(cred.Uid), nil
}
