//go:build race

package session

// schedules is how many random schedules are run, under the race detector.
const schedules = 10
