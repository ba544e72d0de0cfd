//go:build unix

package servers

import "syscall"

// Pause has a server do nothing, without being gone: SIGSTOP.
func (c *Cluster) Pause(i int) { _ = c.servers[i].cmd.Process.Signal(syscall.SIGSTOP) }

// Continue ends a Pause.
func (c *Cluster) Continue(i int) { _ = c.servers[i].cmd.Process.Signal(syscall.SIGCONT) }
