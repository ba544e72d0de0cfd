//go:build !linux

package disk

func uncache(uintptr) {}
