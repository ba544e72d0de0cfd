//go:build race

package ratchet

const schedules = 50
