//go:build !race

package session

// schedules is how many random schedules are run.
const schedules = 60
