package relay

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/node"
)

// idle is a relay that was made and not run, with a day behind it.
func idle(t *testing.T) *Relay {
	t.Helper()
	r, err := New(Config{Data: t.TempDir(), Mode: node.Loopback, Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := r.Run(ctx); err != nil { // it must be run to be closed
			t.Error(err)
		}
	})
	now := time.Now()
	for i := range samples {
		at := now.Add(time.Duration(i-samples) * time.Minute)
		day := math.Sin(float64(i) / 230)
		r.history.past = append(r.history.past, sample{at: at, deposits: int64(200*i) + int64(20000*day), fetches: int64(150*i) + int64(9000*day), disk: 1<<30 + int64(i)<<19, peers: int64(400 + 150*day)})
	}
	return r
}

func get(t *testing.T, h http.Handler, host, path string) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodGet, path, nil)
	req.Host = host
	h.ServeHTTP(w, req)
	return w.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A relay that nobody can reach does not say that all is well, though it would take mail.
func TestHealthOfWhoIsNotReached(t *testing.T) {
	here := []string{"/ip4/192.0.2.7/tcp/4001"}
	for name, c := range map[string]struct {
		r     Report
		level string
		want  string
	}{
		"reached":                      {Report{State: Serving, Addrs: here}, "good", "takes mail and gives it out"},
		"reached by nobody":            {Report{State: Serving}, "warn", "knows no address"},
		"reached through others alone": {Report{State: Serving, Hops: 2}, "warn", "only through other relays"},
		"full":                         {Report{State: Full, Reason: "the disk is full"}, "bad", "takes none: the disk is full"},
	} {
		if got, level := c.r.health(); level != c.level || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s: %s", name, level, got)
		}
	}
}

// The page has the health in one sentence and all figures, and is complete in itself: no
// script, and nothing that a browser would fetch.
func TestPage(t *testing.T) {
	r := idle(t)
	h := r.healthHandler()
	r.state.Store(Serving)
	if page := body(t, get(t, h, "127.0.0.1:4080", "/")); strings.Contains(page, "ago") {
		t.Error("the page tells the age of mail where there is none")
	}
	box, queues := storeBox(1, 1)
	if err := openBox(r.store, box, queues); err != nil {
		t.Fatal(err)
	}
	writer := storeClient{queues: queues}
	for _, ago := range []time.Duration{time.Minute, 73 * time.Hour, time.Hour} {
		if err := r.store.Commit(time.Now().Add(-ago), []mailbox.Change{writer.next()}); err != nil {
			t.Fatal(err)
		}
	}
	res := get(t, h, "127.0.0.1:4080", "/")
	page := body(t, res)
	for _, want := range []string{"It works: it takes mail and gives it out.", "of 10 GiB, room for ", "287 a minute now", "in the last 24 hours", "<polyline points=\"0.0,", "Godwit 1.2.3", r.Addrs()[0].String(), "prefers-color-scheme: dark", "256 MiB waiting", "12 KiB in 3 cells and 0 notices; 1 box with 1 open queue", "came 3 days ago"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	if bad := regexp.MustCompile(`(?i)<script|<link|<img|<iframe|javascript:|\son\w+=|\bsrc=|href|url\(|@import|style=|ZgotmplZ`).FindString(page); bad != "" {
		t.Errorf("the page has %q", bad)
	}
	if n := strings.Count(page, "<polyline"); n != 4 {
		t.Errorf("%d lines", n)
	}
	for _, points := range regexp.MustCompile(`<polyline points="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		list := strings.Fields(points[1])
		var x, y, last float64
		for _, p := range list {
			if _, err := fmt.Sscanf(p, "%f,%f", &x, &y); err != nil || y < 0 || y > 64 || x < last || x > 480 {
				t.Fatalf("a line goes through %s", p)
			}
			last = x
		}
		if last != 480 || len(list) > 241 {
			t.Errorf("a line of %d points ends at %v", len(list), last)
		}
	}
	policy := res.Header.Get("Content-Security-Policy")
	if res.StatusCode != 200 || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	if res := get(t, h, "localhost", "/nothing"); res.StatusCode != 404 {
		t.Errorf("/nothing: %d", res.StatusCode)
	}
	// What it says when it is not well.
	for state, want := range map[State]string{Ready: "takes mail in a moment", Stopping: "begins nothing new", Full: "takes none: "} {
		r.state.Store(state)
		if page := body(t, get(t, h, "localhost", "/")); !strings.Contains(page, want) {
			t.Errorf("%s: the page lacks %q", state, want)
		}
		if res := get(t, h, "localhost", "/readyz"); res.StatusCode != 503 || !strings.HasPrefix(body(t, res), string(state)) {
			t.Errorf("%s: %d", state, res.StatusCode)
		}
	}
}

// silent is a store whose servers may be silent.
type silent struct {
	Store
	yes atomic.Bool
}

func (s *silent) Room() (int64, string) {
	if s.yes.Load() {
		return 0, "the store's servers do not answer"
	}
	return s.Store.Room()
}

// While nothing can be kept a monitor is told so, and why; then that all is well again.
func TestReadyWhileTheStoreIsSilent(t *testing.T) {
	r := idle(t)
	store := &silent{Store: r.store}
	r.store = store
	said := make(chan Event, 10)
	r.cfg.Event = func(e Event) { said <- e }
	ctx, stop := context.WithCancel(t.Context())
	var looking sync.WaitGroup
	looking.Go(func() { _ = r.look(ctx) }) // which never fails
	defer looking.Wait()
	defer stop()
	h := r.healthHandler()
	for _, want := range []struct {
		silent bool
		state  State
		status int
		body   string
	}{
		{false, Serving, 200, "serving\n"},
		{true, Full, 503, "full: the store's servers do not answer\n"},
		{false, Serving, 200, "serving\n"},
	} {
		store.yes.Store(want.silent)
		r.changed <- struct{}{} // look now
		if e := <-said; e.State != want.state || want.silent && e.Reason == "" {
			t.Fatalf("it says %+v", e)
		}
		res := get(t, h, "localhost", "/readyz")
		if text := body(t, res); res.StatusCode != want.status || text != want.body {
			t.Errorf("/readyz: %d %q", res.StatusCode, text)
		}
		if res := get(t, h, "localhost", "/healthz"); res.StatusCode != 200 {
			t.Errorf("/healthz: %d", res.StatusCode)
		}
		if rep := r.Report(); want.silent && (rep.Reason == "" || !strings.Contains(rep.Health, "do not answer")) {
			t.Errorf("the status: %q, %q", rep.Reason, rep.Health)
		}
	}
}

// A page elsewhere whose name was made to lead here gets no answer (DNS rebinding).
func TestPageIsForThisComputer(t *testing.T) {
	h := idle(t).healthHandler()
	for host, ok := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1:4080": true, "localhost:80": true, "LocalHost.": true, "[::1]:9": true, "[::1]": true, "127.9.9.9": true,
		"": false, "evil.example": false, "evil.example:4080": false, "127.0.0.1.evil.example": false, "localhost.evil.example": false,
		"192.168.1.2": false, "[fe80::1%25lo]:80": false, "0.0.0.0": false, "2130706433": false,
	} {
		for _, path := range []string{"/", "/metrics", "/healthz", "/readyz"} {
			if res := get(t, h, host, path); (res.StatusCode != http.StatusMisdirectedRequest) != ok {
				t.Errorf("%s of %q: %d", path, host, res.StatusCode)
			}
		}
	}
}

// parseOpenMetrics has the reference implementation's parser of OpenMetrics (prometheus_client, in
// Python) read what is on its standard input. It prints a line for each sample.
const parseOpenMetrics = `
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.documentation and family.type != "unknown", family
    for s in family.samples:
        print(s.name, ",".join(s.labels), float(s.value))
`

// Metrics are read by parsers of others. They have no labels but the state and the version,
// and nowhere a name of somebody.
func TestMetrics(t *testing.T) {
	r := idle(t)
	res := get(t, r.healthHandler(), "127.0.0.1", "/metrics")
	text := body(t, res)
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "application/openmetrics-text; version=1.0.0") || !strings.HasSuffix(text, "\n# EOF\n") {
		t.Errorf("%v\n%s", res.Header, text)
	}
	// Prometheus' own parser of its older format reads it, too.
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	got := map[string]float64{}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			series := name
			for _, l := range m.GetLabel() {
				series += " " + l.GetName() + "=" + l.GetValue()
				if strings.HasPrefix(name, "godwit_") && l.GetName() != "state" && l.GetName() != "version" && l.GetName() != "why" {
					t.Errorf("%s has the label %s", name, l.GetName())
				}
			}
			got[series] = m.GetGauge().GetValue() + m.GetUntyped().GetValue() // which counters are to it
		}
	}
	for name, want := range map[string]float64{
		"godwit_relay_cells": 0, "godwit_relay_oldest_cell_seconds": 0, "godwit_relay_deposits_total": 0, "godwit_relay_disk_limit_bytes": 10 << 30, "godwit_relay_state state=ready": 1, "godwit_relay_state state=full": 0,
		"godwit_relay_build_info version=1.2.3": 1, "godwit_relay_refusals_total why=quota": 0, "godwit_relay_turned_away_total why=displaced": 0, "godwit_relay_connections_limit": 0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v, %v", name, v, ok)
		}
	}
	for _, name := range []string{"12D3", "127.0.0.1", r.ID().String()} {
		if strings.Contains(text, name) {
			t.Errorf("the metrics name %s", name)
		}
	}
	python := ""
	for _, name := range []string{"/usr/bin/python3", "python3"} { // the system's has the package of the system
		if exec.Command(name, "-c", "import prometheus_client.openmetrics.parser").Run() == nil {
			python = cmp.Or(python, name)
		}
	}
	if python == "" {
		t.Skip("NOT RUN: there is no python3-prometheus-client here, by which the metrics would be parsed as OpenMetrics")
	}
	cmd := exec.Command(python, "-c", parseOpenMetrics)
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("OpenMetrics: %v\n%s", err, out)
	}
	for _, want := range []string{"godwit_relay_deposits_total  0.0\n", "godwit_relay_state state 1.0\n", "godwit_relay_commit_seconds_count  0.0\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("OpenMetrics: %q was not read:\n%s", want, out)
		}
	}
}

// The page in a real browser, light and dark: it is drawn in the colours that the person
// chose, and the browser asks for the page and nothing else. GODWIT_PICTURES names a directory
// in which the pictures are left to be looked at.
func TestPageInABrowser(t *testing.T) {
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = cmp.Or(browser, path)
		}
	}
	if browser == "" || testing.Short() {
		t.Skip("NOT RUN: there is no Chromium here, in which the status page would be looked at")
	}
	r := idle(t)
	r.state.Store(Serving)
	var mu sync.Mutex
	var asked []string
	pages := r.healthHandler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		asked = append(asked, req.URL.Path)
		mu.Unlock()
		pages.ServeHTTP(w, req)
	}))
	defer server.Close()
	dir := cmp.Or(os.Getenv("GODWIT_PICTURES"), t.TempDir())
	brightness := func(name, scheme string) uint32 {
		file := filepath.Join(dir, "relay-"+name+".png")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
			"--user-data-dir="+t.TempDir(), "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--hide-scrollbars", "--window-size=800,1500",
			"--blink-settings=preferredColorScheme="+scheme, "--screenshot="+file, server.URL)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		picture, err := png.Decode(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if colours(picture) < 20 { // letters and lines, not an empty page
			t.Errorf("%s: there is nothing to see", name)
		}
		red, green, blue, _ := picture.At(4, 4).RGBA()
		return (red + green + blue) / 3 >> 8
	}
	if light, dark := brightness("light", "1"), brightness("dark", "0"); light < 200 || dark > 60 {
		t.Errorf("the ground is %d light and %d dark, of 255", light, dark)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(asked) < 2 || slices.ContainsFunc(asked, func(path string) bool { return path != "/" && path != "/favicon.ico" }) {
		t.Errorf("the browser asked for %q", asked)
	}
}

func colours(m image.Image) int {
	seen := map[[3]uint32]bool{}
	for y := m.Bounds().Min.Y; y < m.Bounds().Max.Y; y += 2 {
		for x := m.Bounds().Min.X; x < m.Bounds().Max.X; x++ {
			r, g, b, _ := m.At(x, y).RGBA()
			seen[[3]uint32{r, g, b}] = true
		}
	}
	return len(seen)
}
