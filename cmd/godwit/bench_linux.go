package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// dataSync has a file's data on disk: fdatasync(2).
func dataSync(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }

// settleDisk waits until all that was written on this computer before is on disk: it is not what is measured next.
func settleDisk() { unix.Sync() }

// residentMiB is the resident set of a process, in MiB: VmRSS of proc(5).
func residentMiB(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
			kib, err := strconv.ParseFloat(f[1], 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no VmRSS", pid)
}

// clockTick is the unit of CPU time in proc(5): USER_HZ is 100 on every
// architecture that Go runs on.
const clockTick = 10 * time.Millisecond

// cpuTime is the CPU time that a process has used: utime and stime of proc(5).
func cpuTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the program's name in parentheses, which may hold
	// anything; those that follow its last parenthesis are numbered from 3.
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(f) < 13 {
		return 0, fmt.Errorf("process %d has an odd stat", pid)
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * clockTick, errors.Join(err1, err2)
}

// headers are the bytes of an IPv4 and a TCP header with a time stamp.
const headers = 52

// socketBytes is what has passed each TCP socket of a child process, both ways and with
// headers: TCP_INFO of tcp(7), by pidfd_getfd(2).
func socketBytes(pid int) (map[string]uint64, error) {
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	defer unix.Close(process)
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	sockets := make(map[string]uint64)
	for _, f := range files {
		name, err := os.Readlink(dir + "/" + f.Name())
		if err != nil || !strings.HasPrefix(name, "socket:") {
			continue // closed since
		}
		n, err := strconv.Atoi(f.Name())
		if err != nil {
			return nil, err
		}
		fd, err := unix.PidfdGetfd(process, n, 0)
		if errors.Is(err, unix.EBADF) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look at the sockets of process %d: %w", pid, err)
		}
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		unix.Close(fd)
		if err == nil { // others have none
			sockets[name] = info.Bytes_acked + info.Bytes_received + headers*uint64(info.Segs_in+info.Segs_out)
		}
	}
	return sockets, nil
}

// lowest leaves all threads of this process, and those that they start, what others do not want of the
// processors: SCHED_IDLE of sched(7), which yields at once, where the highest nice value ends its turn first.
func lowest() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err == nil {
			err = unix.SchedSetAttr(id, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) { // which ended meanwhile
			return err
		}
	}
	return nil
}
