package ratchet

import (
	"syscall"
	"time"
)

// cpuTime is the CPU time that this process has used, in all its threads. The
// system counts it in steps of about 16 ms.
func cpuTime() time.Duration {
	var created, exited, kernel, user syscall.Filetime
	process, err := syscall.GetCurrentProcess()
	if err == nil {
		err = syscall.GetProcessTimes(process, &created, &exited, &kernel, &user)
	}
	if err != nil {
		panic("ratchet: GetProcessTimes: " + err.Error())
	}
	ticks := func(f syscall.Filetime) time.Duration {
		return 100 * time.Duration(int64(f.HighDateTime)<<32|int64(f.LowDateTime))
	}
	return ticks(kernel) + ticks(user)
}
