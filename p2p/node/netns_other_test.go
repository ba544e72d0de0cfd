//go:build !linux

package node_test

// inNamespace: network namespaces are Linux's.
func inNamespace() bool { return false }
