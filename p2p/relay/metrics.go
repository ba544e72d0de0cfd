package relay

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"
)

// metrics serves what the report says, and what the process uses, as OpenMetrics 1.0. No
// label names a peer, box or queue: who writes to whom could be read from such.
func (r *Relay) metrics() http.Handler {
	all := prometheus.NewRegistry()
	// Of two of its metrics of memory OpenMetrics makes one name.
	runtime := collectors.NewGoCollector(collectors.WithGoCollectorMemStatsMetricsDisabled())
	all.MustRegister(&collected{r}, runtime, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	format := expfmt.NewFormat(expfmt.TypeOpenMetrics)
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		families, err := all.Gather()
		if err != nil {
			r.log.Warn("not all metrics could be had", "error", err) // those that could are told
		}
		w.Header().Set("Content-Type", string(format))
		enc := expfmt.NewEncoder(w, format)
		for _, f := range families {
			if err := enc.Encode(f); err != nil {
				return // the reader is gone
			}
		}
		if c, ok := enc.(expfmt.Closer); ok {
			c.Close() // writes the end mark
		}
	})
}

// collected makes metrics of one report, so that they fit each other.
type collected struct{ relay *Relay }

// Describe says nothing, which has the registry check each collection instead.
func (*collected) Describe(chan<- *prometheus.Desc) {}

func (c *collected) Collect(to chan<- prometheus.Metric) {
	r := c.relay.Report()
	tell := func(kind prometheus.ValueType, name, help string, v float64, labels ...string) {
		var names, values []string
		for i := 0; i+1 < len(labels); i += 2 {
			names, values = append(names, labels[i]), append(values, labels[i+1])
		}
		to <- prometheus.MustNewConstMetric(prometheus.NewDesc("godwit_relay_"+name, help, names, nil), kind, v, values...)
	}
	gauge := func(name, help string, v int64) { tell(prometheus.GaugeValue, name, help, float64(v)) }
	counter := func(name, help string, v int64) { tell(prometheus.CounterValue, name, help, float64(v)) }

	tell(prometheus.GaugeValue, "build_info", "The version that runs.", 1, "version", r.Version)
	for _, s := range []State{Ready, Serving, Full, Draining, Stopping} {
		on := 0.0
		if r.State == s {
			on = 1
		}
		tell(prometheus.GaugeValue, "state", "1 for the state that the relay is in.", on, "state", string(s))
	}
	tell(prometheus.GaugeValue, "uptime_seconds", "Since the relay was started.", r.Uptime)
	gauge("cells", "Cells held.", r.Cells)
	tell(prometheus.GaugeValue, "oldest_cell_seconds", "How long ago the oldest cell held came, to the minute; 0: there is none.", r.Oldest)
	gauge("mail_bytes", "Bytes of cells and notices held.", r.Bytes)
	gauge("notices", "Notices held.", r.Notices)
	gauge("queues", "Queues open.", r.Queues)
	gauge("boxes", "Boxes known.", r.Boxes)
	gauge("disk_bytes", "Bytes used on disk.", r.Disk)
	gauge("disk_limit_bytes", "Bytes that may be used on disk.", r.MaxDisk)
	gauge("room_bytes", "Bytes that may still come, bounded by that or by what is left of the disk itself.", r.Room)
	counter("store_foreign_messages_total", "Messages in the shared store that no relay made, and that were passed over.", r.Foreign)
	gauge("streams", "Streams of the mailbox protocol that are open.", r.Streams)
	gauge("peers", "Peers connected.", r.Peers)
	gauge("dht_servers", "Servers of the DHT that are known.", r.DHT)
	gauge("hops", "Other relays through which this one is reached.", r.Hops)
	gauge("reservations", "Relays that are reached through this one.", r.Reserved)
	gauge("circuits", "Circuits open through this relay.", r.Circuits)
	counter("deposits_total", "Deposits accepted, repeated ones included.", r.Deposits)
	counter("fetches_total", "Cells and notices given out.", r.Fetches)
	counter("deletions_total", "Cells deleted by their readers.", r.Deletions)
	counter("mail_taken_bytes_total", "Bytes of cells and notices that came.", r.Taken)
	counter("mail_given_bytes_total", "Bytes of cells and notices that were given out.", r.Given)
	for _, why := range slices.Sorted(maps.Keys(r.Refused)) {
		tell(prometheus.CounterValue, "refusals_total", "Requests refused.", float64(r.Refused[why]), "why", why)
	}
	for _, why := range slices.Sorted(maps.Keys(r.turned())) {
		tell(prometheus.CounterValue, "turned_away_total", "Connections and streams that were not let in or made room, and acts beyond what a group of addresses may do.", float64(r.turned()[why]), "why", why)
	}
	gauge("connections_limit", "Connections that others may have open; 0: any number.", r.Bounds.Connections)
	to <- prometheus.MustNewConstSummary(prometheus.NewDesc("godwit_relay_commit_seconds", "How long groups of changes took to be on disk.", nil, nil),
		uint64(max(r.Groups, 0)), r.Committing, nil)
}

// turned is Turned by name.
func (r Report) turned() map[string]uint64 {
	t := r.Turned
	return map[string]uint64{
		"rate": t.Rate, "group": t.Group, "all": t.All, "displaced": t.Displaced, "streams": t.Streams,
		"stream_rate": t.StreamRate, "login_rate": t.LoginRate, "deposit_rate": t.DepositRate, "slowed": t.Slowed, "paused": t.Paused, "ended": t.Ended, "memory": t.Memory,
	}
}

// health says in one sentence how the relay is, and how bad that is: good, warn or bad.
func (r Report) health() (sentence, level string) {
	switch {
	case r.State == Full:
		return fmt.Sprintf("It gives mail out but takes none: %s.", r.Reason), "bad"
	case r.State == Draining:
		return "It takes no more mail, and gives out what it keeps until that is fetched: it is about to go.", "warn"
	case r.State == Stopping:
		return "It is being stopped, and begins nothing new.", "warn"
	case r.State == Ready:
		return "It has been started and takes mail in a moment.", "warn"
	case r.MaxDisk > 0 && r.Disk >= r.MaxDisk/10*9:
		return "It works, but is nearly full: soon it takes no more mail.", "warn"
	case len(r.Addrs) == 0 && r.Hops == 0:
		return "It works, but knows no address at which others reach it.", "warn"
	case len(r.Addrs) == 0:
		return "It works, but is reached only through other relays: it knows no address of its own.", "warn"
	}
	return "It works: it takes mail and gives it out.", "good"
}

func (r Report) level() string {
	_, level := r.health()
	return level
}
