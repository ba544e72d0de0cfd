package main

import "syscall"

// tied makes a child end when this process does, however it ends: a demo that is
// killed leaves no relay behind.
func tied() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
