//go:build !linux

package main

import "syscall"

// tied has nothing to ask for here: children of a process that is killed have to be
// ended by hand.
func tied() *syscall.SysProcAttr { return nil }
