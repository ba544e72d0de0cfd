package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/godwit-im/godwit/p2p/circuit"
	"github.com/godwit-im/godwit/p2p/local"
	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/node"
)

const (
	// statusTimeout bounds a question over HTTP, on either side.
	statusTimeout = 5 * time.Second
	maxStatus     = 64 << 10 // bytes of an answer
)

var (
	// ErrNotRunning says that no relay answers.
	ErrNotRunning = errors.New("relay: no relay runs there")
	// ErrNotYours says that one may run there, but that only its own user may ask it.
	ErrNotYours = errors.New("relay: only the user that runs the relay may ask it, or root")
)

// Report is what a relay tells of itself. Counts are since it was started,
// unless they are of what it holds.
type Report struct {
	State      State             `json:"state"`
	Reason     string            `json:"reason,omitempty"` // why it is not serving
	Health     string            `json:"health"`           // all that in one sentence
	Version    string            `json:"version,omitempty"`
	Peer       string            `json:"peer"`
	Addrs      []string          `json:"addrs"`             // where it can be reached, with PeerID
	Cells      int64             `json:"cells"`             // held
	Bytes      int64             `json:"bytes"`             // of cells and notices held
	Oldest     float64           `json:"oldest"`            // how long ago the oldest cell came, seconds, to the minute; 0: there is none
	Queues     int64             `json:"queues"`            // open
	Boxes      int64             `json:"boxes"`             // known
	Notices    int64             `json:"notices"`           // held
	Foreign    int64             `json:"foreign,omitempty"` // messages in a shared store, since it was started, that no relay made
	Disk       int64             `json:"disk"`              // bytes used of max_disk
	MaxDisk    int64             `json:"max_disk"`          // bytes
	Room       int64             `json:"room"`              // bytes that may still come: what is left of max_disk or, if that is less, of the disk itself
	Streams    int64             `json:"streams"`           // open
	Peers      int64             `json:"peers"`             // connected
	DHT        int64             `json:"dht"`               // servers of the DHT that it knows
	Hops       int64             `json:"hops"`              // other relays through which this one can be reached now
	Reserved   int64             `json:"reserved"`          // relays that can be reached through this one now
	Circuits   int64             `json:"circuits"`          // open through this one
	Deposits   int64             `json:"deposits"`
	Fetches    int64             `json:"fetches"`   // cells and notices given out
	Deletions  int64             `json:"deletions"` // cells acknowledged
	Refusals   int64             `json:"refusals"`
	Refused    map[string]uint64 `json:"refused"`               // these, by why
	Turned     node.Turned       `json:"turned"`                // connections and streams turned away before they asked for anything, and what groups of addresses asked too much
	Taken      int64             `json:"taken"`                 // bytes of cells and notices that came
	Given      int64             `json:"given"`                 // and that were given out
	Month      Month             `json:"month"`                 // the same since the first, over restarts
	Day        *Day              `json:"day,omitempty"`         // what of that may come and go in a day; absent: any amount
	Friends    *Friends          `json:"for_friends,omitempty"` // for whom alone it is; absent: for others too
	Groups     int64             `json:"groups"`                // commits
	Committing float64           `json:"committing"`            // seconds that these took together
	Uptime     float64           `json:"uptime"`                // seconds
	Allows     Allows            `json:"allows"`
	Bounds     Bounds            `json:"bounds"`
}

// Day is what a relay may carry in a day, and what of that is used: it comes back evenly.
type Day struct {
	Used  int64 `json:"used"`  // bytes of cells and notices that came and went
	Limit int64 `json:"limit"` // bytes, half of them for what comes
}

// Spent says whether so much came and went that nothing more may come for now.
func (d *Day) Spent() bool { return d != nil && d.Used+mailbox.CellLarge > d.Limit/2 }

// Mail says what the relay holds, and for whom.
func (r Report) Mail() string {
	boxes := "1 box"
	if r.Boxes != 1 {
		boxes = humanize.Comma(r.Boxes) + " boxes"
	}
	return fmt.Sprintf("%s in %s and %s; %s with %s", humanize.IBytes(uint64(max(r.Bytes, 0))), count(r.Cells, "cell"), count(r.Notices, "notice"), boxes, count(r.Queues, "open queue"))
}

// Space says how much of the disk the relay uses, and how much more it can take: less than what it may, if the disk has no more.
func (r Report) Space() string {
	size := func(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }
	return fmt.Sprintf("%s of %s, room for %s more", size(r.Disk), size(r.MaxDisk), size(r.Room))
}

// Since says when the oldest cell came, which is known to the minute.
func (r Report) Since() string {
	if r.Oldest < 120 {
		return "came in the last two minutes"
	}
	return "came " + InWords(r.Oldest) + " ago"
}

// Traffic says what the relay carried this month, which is what somebody may have to pay for.
func (r Report) Traffic() string {
	size := func(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }
	return fmt.Sprintf("%s of mail came and %s went since %s", size(r.Month.Taken), size(r.Month.Given), r.Month.Since.Format(time.DateOnly))
}

// Ways says who is reached through whom.
func (r Report) Ways() string {
	return fmt.Sprintf("reached through %s; %s reached through this one, %s open", count(r.Hops, "other relay"), count(r.Reserved, "other"), count(r.Circuits, "circuit"))
}

// count is a number of things.
func count(n int64, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return humanize.Comma(n) + " " + thing
}

// Report is how the relay does now.
func (r *Relay) Report() Report {
	u, s := r.store.Usage(), r.server.Stats()
	var hop circuit.HopStats
	if r.hop != nil {
		hop = r.hop.Stats()
	}
	limits := r.Limits()
	room, _ := r.store.Room()
	rep := Report{
		Refused: s.Refused, Turned: r.node.Turned(), Bounds: BoundsOf(r.server.Allowance()),
		State: r.state.Load().(State), Peer: r.ID().String(),
		Cells: int64(u.Cells), Bytes: int64(u.Bytes), Queues: int64(u.Queues), Boxes: int64(u.Boxes), Notices: int64(u.Notices),
		Foreign: int64(u.Foreign), Disk: int64(u.Disk), MaxDisk: limits.MaxDisk, Room: room, Streams: int64(s.Streams), Peers: int64(len(r.node.Host().Network().Peers())), DHT: int64(r.dht.Status().Peers),
		Hops: int64(r.holder.Len()), Reserved: hop.Reservations, Circuits: hop.Circuits,
		Taken: int64(s.Taken), Given: int64(s.Given), Month: r.history.thisMonth(int64(s.Taken), int64(s.Given)), Friends: r.friends(),
		Deposits: int64(s.Deposits), Fetches: int64(s.Fetches), Deletions: int64(s.Deletions), Refusals: int64(s.Refusals),
		Groups: int64(s.Groups), Committing: s.Committing.Seconds(), Version: r.cfg.Version, Uptime: time.Since(r.began).Seconds(), Allows: AllowsOf(r.server.Limits(), r.server.Allowance()),
	}
	if limits.Daily > 0 {
		rep.Day = &Day{Used: int64(s.Day), Limit: limits.Daily}
	}
	for _, a := range r.Addrs() {
		rep.Addrs = append(rep.Addrs, a.String())
	}
	rep.Reason = r.reason(rep.State)
	if !u.Oldest.IsZero() {
		rep.Oldest = max(time.Since(u.Oldest).Seconds(), 0)
	}
	rep.Health, _ = rep.health()
	return rep
}

// reason is why a relay is in a state, in words; empty where the state says all.
func (r *Relay) reason(s State) (why string) {
	if s == Full {
		_, why = r.store.Room()
	}
	return why
}

func (r *Relay) statusHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(r.Report()) // the reader is gone if it fails
	})
	mux.HandleFunc("GET /export", r.serveExport)
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, _ *http.Request) {
		var a reloaded
		what, err := r.Reload()
		if a.Reloaded = what; err != nil {
			a.Error = err.Error()
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(a) // the reader is gone if it fails
	})
	return mux
}

// reloaded is the answer to /reload.
type reloaded struct {
	Reloaded
	Error string `json:"error,omitempty"`
}

// healthHandler tells people how the relay does, on one page, and monitors whether the process lives
// and whether it takes mail, in one word and, after a colon, why not, and all that is counted.
func (r *Relay) healthHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		s := r.state.Load().(State)
		if s != Serving {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		io.WriteString(w, strings.TrimSuffix(string(s)+": "+r.reason(s), ": ")+"\n")
	})
	mux.Handle("GET /metrics", r.metrics())
	mux.Handle("GET /{$}", r.page())
	return localOnly(mux)
}

func httpServer(log *slog.Logger, h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: statusTimeout, ReadTimeout: statusTimeout, WriteTimeout: statusTimeout, IdleTimeout: statusTimeout,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Socket is where a relay's status is had unless Config says otherwise.
func Socket(data string) string { return filepath.Join(data, "relay.sock") }

// ErrReload wraps why a relay kept the limits that it had.
var ErrReload = errors.New("relay: the limits stay as they were")

// Status asks the relay of this computer whose Socket is given. The error wraps
// ErrNotRunning if none answers, and ErrNotYours.
func Status(ctx context.Context, socket string) (r Report, err error) {
	return r, ask(ctx, socket, http.MethodGet, "/status", &r)
}

// Reload has the relay of this computer whose Socket is given read its limits anew, and
// tells which changed, and what else did. The error wraps ErrNotRunning if none answers, ErrNotYours, and ErrReload if it
// could not: then none did.
func Reload(ctx context.Context, socket string) (what Reloaded, err error) {
	var a reloaded
	if err := ask(ctx, socket, http.MethodPost, "/reload", &a); err != nil {
		return what, err
	}
	if a.Error != "" {
		return what, fmt.Errorf("%w: %s", ErrReload, strings.TrimPrefix(a.Error, "relay: "))
	}
	return a.Reloaded, nil
}

// ask asks a relay of this computer.
func ask(ctx context.Context, socket, method, path string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	transport := localTransport(socket)
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, method, "http://relay"+path, nil)
	if err != nil {
		return fmt.Errorf("relay: %s: %w", path, err)
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return unanswered(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("relay: %s: it answers %s", path, res.Status)
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxStatus)).Decode(answer); err != nil {
		return fmt.Errorf("relay: %s: %w", path, err)
	}
	return nil
}

// unanswered says why there was no answer.
func unanswered(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: %w", ErrNotYours, err)
	}
	return fmt.Errorf("%w: %w", ErrNotRunning, err)
}

func localTransport(socket string) *http.Transport {
	return &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return local.DialAsRoot(ctx, socket)
		},
	}
}
