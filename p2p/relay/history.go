package relay

import (
	"sync"
	"time"
)

const (
	// sampleEvery is how often the past is noted, and samples how much of it: a day.
	sampleEvery = time.Minute
	samples     = 24*60 + 1
)

// sample is what a relay had done, and had, at a moment.
type sample struct {
	at                time.Time
	deposits, fetches int64 // since the start
	disk, peers       int64 // then
}

// history is the last day, for those who look at the status page.
type history struct {
	mu   sync.Mutex
	past []sample // oldest first
}

// note adds a sample, if it is time.
func (h *history) note(now time.Time, take func() Report) {
	h.mu.Lock()
	due := len(h.past) == 0 || now.Sub(h.past[len(h.past)-1].at) >= sampleEvery
	h.mu.Unlock()
	if !due {
		return
	}
	r := take()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.past) == samples {
		h.past = append(h.past[:0], h.past[1:]...)
	}
	h.past = append(h.past, sample{now, r.Deposits, r.Fetches, r.Disk, r.Peers})
}

// last is the last day.
func (h *history) last() []sample {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]sample(nil), h.past...)
}

// perMinute is how much a count grew a minute, from sample to sample.
func perMinute(past []sample, count func(sample) int64) (rates []float64) {
	for i := 1; i < len(past); i++ {
		minutes := past[i].at.Sub(past[i-1].at).Minutes()
		if minutes <= 0 { // the clock was set back
			minutes = 1
		}
		rates = append(rates, float64(count(past[i])-count(past[i-1]))/minutes)
	}
	return rates
}

// levels are the values themselves.
func levels(past []sample, value func(sample) int64) (list []float64) {
	for _, s := range past {
		list = append(list, float64(value(s)))
	}
	return list
}
