package disk

import "golang.org/x/sys/unix"

// uncache has the system give up what it has of a file in memory and on disk: posix_fadvise(2). It is free not to.
func uncache(fd uintptr) { unix.Fadvise(int(fd), 0, 0, unix.FADV_DONTNEED) }
