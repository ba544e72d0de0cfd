package relay

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"math"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

// points is how many points a line of the page has at most.
const points = 240

// localOnly answers only those who ask for this computer by one of its own names. A page
// somewhere else can have a browser here ask us under a name of its own, which it
// made to lead to 127.0.0.1 (DNS rebinding), and would then read the answer.
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLocal(r.Host) {
			http.Error(w, "this is only for those who ask for 127.0.0.1 or localhost", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

func isLocal(hostPort string) bool {
	host := hostPort
	if h, _, err := net.SplitHostPort(hostPort); err == nil {
		host = h
	}
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Zone() == "" && ip.Unmap().IsLoopback()
}

// page serves the status page: HTML and SVG, no script, and nothing from elsewhere, which
// the browser is told to enforce.
func (r *Relay) page() http.Handler {
	t := template.Must(template.New("page").Parse(pageHTML))
	style := sha256.Sum256([]byte(pageCSS))
	policy := fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", base64.StdEncoding.EncodeToString(style[:]))
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var b bytes.Buffer
		if err := t.Execute(&b, r.pageData()); err != nil {
			panic("relay: the status page: " + err.Error())
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		w.Write(b.Bytes()) // the reader is gone if it fails
	})
}

// pageData is what the template shows: the report in words.
type pageData struct {
	Report
	Style                     template.CSS
	Level, Used, Cap          string
	Past, Uptime              string
	Filled                    int // of 1000
	Deposits, Fetches         string
	Deletions, Refusals, Away string
	Peers, Streams            string
	Allows                    []named
	Lines                     []line
}

type named struct{ Name, Value string }

// line is a line of the page, in a box of 480 by 64.
type line struct{ Name, Now, Most, Points, Area string }

func (r *Relay) pageData() pageData {
	rep, past := r.Report(), r.history.last()
	bytes := func(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }
	device := func(r Room) string { return bytes(r.BoxBytes) + " waiting, " + humanize.Comma(r.BoxQueues) + " queues" }
	contact := func(r Room) string {
		return bytes(r.QueueBytes) + " or " + humanize.Comma(r.QueueCells) + " cells a day"
	}
	d := pageData{
		Report: rep, Style: template.CSS(pageCSS), Level: rep.level(),
		Used: bytes(rep.Disk), Cap: bytes(rep.MaxDisk), Uptime: InWords(rep.Uptime),
		Deposits: humanize.Comma(rep.Deposits), Fetches: humanize.Comma(rep.Fetches), Deletions: humanize.Comma(rep.Deletions), Refusals: humanize.Comma(rep.Refusals), Away: humanize.Comma(int64(rep.Turned.Connections())),
		Peers: humanize.Comma(rep.Peers), Streams: humanize.Comma(rep.Streams),
		Allows: []named{
			{"A device", device(rep.Allows.Room)},
			{"A contact", contact(rep.Allows.Room)},
			{"Kept for", InWords(rep.Allows.Keep)},
			{"Asks for", rep.Allows.Asks()},
			{"Takes", rep.Bounds.String()},
		},
	}
	if t := rep.Allows.Token; t != nil && *t != rep.Allows.Room {
		d.Allows = slices.Insert(d.Allows, 2, named{"With a token", device(*t) + "; a contact " + contact(*t) + "; for " + InWords(t.Lease)})
	}
	if rep.MaxDisk > 0 {
		d.Filled = int(min(1000, max(rep.Disk*1000/rep.MaxDisk, 4))) // a little is seen, too
	}
	if len(past) > 1 {
		d.Past = "in the last " + InWords(past[len(past)-1].at.Sub(past[0].at).Seconds())
	}
	past = append(past, sample{time.Now(), 0, 0, rep.Disk, rep.Peers}) // for the levels, which are known now
	rate := func(v float64) string {
		if v >= 100 { // of so many nobody counts the tenths
			return humanize.Comma(int64(math.Round(v))) + " a minute"
		}
		return humanize.FtoaWithDigits(v, 1) + " a minute"
	}
	d.Lines = []line{
		drawn("Deposits", perMinute(past[:len(past)-1], func(s sample) int64 { return s.deposits }), rate),
		drawn("Fetches", perMinute(past[:len(past)-1], func(s sample) int64 { return s.fetches }), rate),
		drawn("Connected peers", levels(past, func(s sample) int64 { return s.peers }), func(v float64) string { return humanize.Comma(int64(v)) }),
		drawn("Disk", levels(past, func(s sample) int64 { return s.disk }), func(v float64) string { return bytes(int64(v)) }),
	}
	return d
}

// drawn makes a line of values from the left to the right edge, zero at the bottom.
func drawn(name string, values []float64, text func(float64) string) line {
	const width, height = 480.0, 64.0
	if len(values) == 0 {
		values = []float64{0}
	}
	now := values[len(values)-1]
	most := slices.Max(values)
	values = thinned(values)
	if len(values) == 1 {
		values = []float64{values[0], values[0]}
	}
	var b strings.Builder
	for i, v := range values {
		y := height - 1
		if most > 0 {
			y -= v / most * (height - 4)
		}
		fmt.Fprintf(&b, "%.1f,%.1f ", width*float64(i)/float64(len(values)-1), y)
	}
	p := strings.TrimSuffix(b.String(), " ")
	return line{Name: name, Now: text(now), Most: text(most), Points: p, Area: fmt.Sprintf("0,%v %s %v,%v", height, p, width, height)}
}

// thinned puts means of neighbours in place of more values than a line shows.
func thinned(values []float64) []float64 {
	each := (len(values) + points - 1) / points
	if each <= 1 {
		return values
	}
	var out []float64
	for part := range slices.Chunk(values, each) {
		sum := 0.0
		for _, v := range part {
			sum += v
		}
		out = append(out, sum/float64(len(part)))
	}
	return out
}

// InWords is a length of time, of so many seconds, in its largest unit.
func InWords(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d >= 48*time.Hour:
		return count(int64(d/(24*time.Hour)), "day")
	case d >= 2*time.Hour:
		return count(int64(d/time.Hour), "hour")
	case d >= 2*time.Minute:
		return count(int64(d/time.Minute), "minute")
	}
	return count(int64(max(d, 0)/time.Second), "second")
}
