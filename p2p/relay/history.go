package relay

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"
)

const (
	// sampleEvery is how often the past is noted, and samples how much of it: a day.
	sampleEvery = time.Minute
	samples     = 24*60 + 1
	// saveEvery is how often that is written to the disk, for the next run.
	saveEvery = 10 * time.Minute
	// What counts for a day is written sooner, as a crash forgets it: after so many bytes, of which the file is
	// a small part, or if any came or went in carryEvery.
	carryBytes, carryEvery = 4 << 20, time.Minute
	// historyVersion is of the file.
	historyVersion = 1
)

// sample is what a relay had done, and had, at a moment.
type sample struct {
	at                time.Time
	deposits, fetches int64 // since the history began
	disk, peers       int64 // then
}

// Month is what a relay had to carry since the first of a month, by UTC.
type Month struct {
	Since time.Time `json:"since"` // the first, or when the relay first ran
	Taken int64     `json:"taken"` // bytes of cells and notices that came
	Given int64     `json:"given"` // and that were given out
}

// history is the last day, for those who look at the status page, and the month. It goes on
// from run to run.
type history struct {
	mu    sync.Mutex
	past  []sample // oldest first
	month Month
	saved time.Time
	// What the counts of this run are added to, and what they were at the last look.
	deposits, fetches int64
	taken, given      int64
	day               day
	carried, kept     int64 // bytes that came and went in this run, and those of them when it was saved
}

// carry notes what came and went in this run, and how much of Limits.Daily is used.
func (h *history) carry(now time.Time, bytes, used int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.carried, h.day = bytes, day{Used: used, At: now.Unix()}
}

// due says whether it is time to write it.
func (h *history) due(now time.Time) bool {
	since, more := now.Sub(h.saved).Abs(), h.carried-h.kept
	return since >= saveEvery || more >= carryBytes || more > 0 && since >= carryEvery
}

// day is what of Limits.Daily was used at a time.
type day struct {
	Used int64 `json:"used"` // bytes
	At   int64 `json:"at"`   // unix seconds
}

// note adds a sample and counts the month on, if it is time or at the end.
func (h *history) note(now time.Time, end bool, take func() Report) {
	h.mu.Lock()
	n := len(h.past)
	due := n == 0 || now.Sub(h.past[n-1].at).Abs() >= sampleEvery
	h.mu.Unlock()
	if !due && !end {
		return
	}
	r := take()
	h.mu.Lock()
	defer h.mu.Unlock()
	first := time.Date(now.UTC().Year(), now.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
	switch {
	case h.month.Since.IsZero():
		h.month.Since = now.UTC().Truncate(time.Second)
	case h.month.Since.Before(first):
		h.month = Month{Since: first}
	}
	h.month.Taken += r.Taken - h.taken
	h.month.Given += r.Given - h.given
	h.taken, h.given = r.Taken, r.Given
	if !due {
		return
	}
	for len(h.past) > 0 && (len(h.past) >= samples || now.Sub(h.past[0].at) > samples*sampleEvery) {
		h.past = append(h.past[:0], h.past[1:]...)
	}
	h.past = append(h.past, sample{now, h.deposits + r.Deposits, h.fetches + r.Fetches, r.Disk, r.Peers})
}

// last is the last day.
func (h *history) last() []sample {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]sample(nil), h.past...)
}

// thisMonth is the month up to now, by the counts as they are.
func (h *history) thisMonth(taken, given int64) Month {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.month
	m.Taken += taken - h.taken
	m.Given += given - h.given
	return m
}

// lastDay is what of Limits.Daily had been used when the last run was last saved.
func (h *history) lastDay() (bytes int64, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return max(h.day.Used, 0), time.Unix(h.day.At, 0)
}

// historyFile is what is kept between runs, as JSON.
type historyFile struct {
	Version int        `json:"version"`
	Month   Month      `json:"month"`
	Day     day        `json:"day,omitzero"`
	Past    [][5]int64 `json:"past"` // unix seconds, deposits, fetches, disk, peers
}

// load goes on where the last run ended. What cannot be read is left out: it is a picture, and
// nothing rests on it.
func (h *history) load(path string, now time.Time) error {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var f historyFile
	if err == nil {
		err = json.Unmarshal(raw, &f)
	}
	if err != nil || f.Version != historyVersion {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.month, h.saved, h.day = f.Month, now, f.Day
	for _, p := range f.Past[max(0, len(f.Past)-samples):] {
		s := sample{time.Unix(p[0], 0), p[1], p[2], p[3], p[4]}
		if n := len(h.past); s.at.After(now) || n > 0 && !s.at.After(h.past[n-1].at) {
			continue // the clock was elsewhere then
		}
		h.past = append(h.past, s)
		h.deposits, h.fetches = s.deposits, s.fetches
	}
	return nil
}

// save writes it, if it is time or always.
func (h *history) save(path string, now time.Time, always bool) error {
	h.mu.Lock()
	if !always && !h.due(now) {
		h.mu.Unlock()
		return nil
	}
	h.saved, h.kept = now, h.carried
	f := historyFile{Version: historyVersion, Month: h.month, Day: h.day, Past: [][5]int64{}}
	for _, s := range h.past {
		f.Past = append(f.Past, [5]int64{s.at.Unix(), s.deposits, s.fetches, s.disk, s.peers})
	}
	h.mu.Unlock()
	raw, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return writeFile(path, raw)
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
