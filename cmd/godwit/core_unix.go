//go:build unix

package main

import "syscall"

// noCore keeps the system from writing this process's memory, keys and all, into a
// file if it crashes. Where that cannot be had the rest works all the same.
func noCore() { _ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}) }

// privately has every file that this process makes be its user's alone, those of
// libraries too, which ask for more.
func privately() { syscall.Umask(0o077) }
