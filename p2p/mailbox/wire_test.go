package mailbox

import (
	"bytes"
	"errors"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/crypto/cryptobyte"
)

// requests is one of each.
func requests() []request {
	at := time.Unix(1893456000, 0)
	return []request{
		&login{box: BoxPublic{1}, signature: [64]byte{2}},
		&lease{LeaseOpen, nil}, &lease{LeaseToken, []byte("0123456789abcdef")}, &lease{LeaseWork, make([]byte, 8)},
		&open{Invite, at, []QID{{1}, {2}}}, &closeQueues{[]QID{{3}}},
		&prove{epoch: CatchAll, public: [32]byte{4}, signature: [64]byte{5}},
		&put{QID{6}, MaxTTL, bytes.Repeat([]byte{7}, CellSmall)},
		&list{8, MaxEntries}, &get{CellID{9}}, &ack{[]CellID{{1}, {2}, {3}}}, &watch{10},
		&post{NoticeID{11}, time.Hour, bytes.Repeat([]byte{12}, NoticeSize)}, &unpost{NoticeID{13}}, &fetch{NoticeID{14}}, &ping{}, &open{Intro, at, []QID{{1}}}, &terms{QID{15}}, &routes{}, &release{}, &allows{},
		&intro{QID{16}, MaxTTL, [32]byte{17}, 18, [8]byte{19}, [8]byte{20}, bytes.Repeat([]byte{21}, CellMedium)},
	}
}

// answers is one of each, with what decodes it.
func answers() map[message]func() body {
	at := time.Unix(1893456000, 0)
	entries := []Entry{{1, QID{1}, CellID{2}, CellSmall, at, 0}, {7, QID{3}, CellID{4}, CellLarge, at, 0}, {8, QID{3}, CellID{5}, CellMedium, at, MaxIntroWork}}
	return map[message]func() body{
		&loginAnswer{BoxInfo{Until: at, Used: 1, Limit: 2, Queues: 3}}: func() body { return new(loginAnswer) },
		&loginAnswer{BoxInfo{Limit: 9}}:                                func() body { return new(loginAnswer) },
		&until{kindLease | kindAnswer, at}:                             func() body { return &until{k: kindLease | kindAnswer} },
		&listAnswer{true, entries}:                                     func() body { return new(listAnswer) },
		&listAnswer{false, nil}:                                        func() body { return new(listAnswer) },
		&news{entries}:                                                 func() body { return new(news) },
		&termsAnswer{[32]byte{1}, 7, time.Minute}:                      func() body { return new(termsAnswer) },
		&ackAnswer{3}:                                                  func() body { return new(ackAnswer) },
		&pingAnswer{at}:                                                func() body { return new(pingAnswer) },
		&Refusal{ErrQuota, time.Minute, at}:                            func() body { return new(Refusal) },
		&Refusal{ErrMalformed, 0, at}:                                  func() body { return new(Refusal) },
		&routesAnswer{}:                                                func() body { return new(routesAnswer) },
		&allowsAnswer{}:                                                func() body { return new(allowsAnswer) },
		&allowsAnswer{[]told{{1, 2}, {200, 1}}}:                        func() body { return new(allowsAnswer) },
		&routesAnswer{circuits()}:                                      func() body { return new(routesAnswer) },
	}
}

// circuits are addresses through two relays.
func circuits() []ma.Multiaddr {
	return []ma.Multiaddr{
		ma.StringCast("/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWEPJgKeNEMfRapVhkGyNRLFmsdNzNNAfQtuVCzzWTKQEm/p2p-circuit"),
		ma.StringCast("/ip6/2001:db8::1/udp/4001/quic-v1/p2p/12D3KooWBXu3uGPMkjjxViK6autSnFH5QaKJgTwW8CaSxYSD6yYL/p2p-circuit"),
	}
}

func bodyOf(m message) []byte {
	_, _, body, err := splitFrame(encode(nil, 7, m))
	if err != nil {
		panic(err)
	}
	return body
}

// TestWire: what is written is read, and nothing shorter or longer.
func TestWire(t *testing.T) {
	for _, m := range requests() {
		frame := encode([]byte("before"), 0x01020304, m)[6:]
		k, id, body, err := splitFrame(frame)
		if err != nil || k != m.kind() || id != 0x01020304 || len(frame) > maxFrame {
			t.Fatalf("%T: %#x %#x %v", m, k, id, err)
		}
		got, err := parseRequest(k, body)
		if err != nil || !bytes.Equal(bodyOf(got), body) {
			t.Fatalf("%T: %v", m, err)
		}
		switch m.(type) {
		case *put, *intro:
			continue // its size is judged later
		}
		for n := range min(len(body), 200) {
			if _, err := parseRequest(k, body[:n]); !errors.Is(err, ErrMalformed) {
				t.Fatalf("%T cut to %d: %v", m, n, err)
			}
		}
		if _, err := parseRequest(k, append(bytes.Clone(body), 0)); !errors.Is(err, ErrMalformed) {
			t.Fatalf("%T with a byte more: %v", m, err)
		}
	}
	for m, fresh := range answers() {
		body := bodyOf(m)
		for n := range len(body) + 2 {
			s, got := cryptobyte.String(append(bytes.Clone(body), 0)[:n]), fresh()
			ok := got.parse(&s) && s.Empty()
			if ok != (n == len(body)) {
				t.Fatalf("%T of %d bytes read from %d: %v", m, len(body), n, ok)
			}
			if ok && !bytes.Equal(bodyOf(got.(message)), body) {
				t.Fatalf("%T was read as another", m)
			}
		}
	}
	if n := len(encode(nil, 0, &put{cell: make([]byte, CellLarge)})); n > maxFrame || maxFrame != 65664 {
		t.Fatalf("the largest PUT has %d bytes, a frame %d", n, maxFrame)
	}
}

// TestEqualSizes: attacks.md row 24. On the wire two cells of a class differ in
// nothing but their bytes, whatever message, queue or time they are for.
func TestEqualSizes(t *testing.T) {
	for _, size := range []int{CellSmall, CellMedium, CellLarge} {
		a := encode(nil, 1, &put{QID{1}, time.Second, make([]byte, size)})
		b := encode(nil, 1<<32-1, &put{QID{0xff}, MaxTTL, bytes.Repeat([]byte{0xff}, size)})
		if len(a) != len(b) || len(a) != size+41 {
			t.Fatalf("%d and %d bytes for a cell of %d", len(a), len(b), size)
		}
	}
}

// TestCodes: every code means one error, and back.
func TestCodes(t *testing.T) {
	for code, err := range codes() {
		if code == 0 {
			continue
		}
		s := cryptobyte.String(bodyOf(&Refusal{Reason: err, Time: time.Unix(1, 0)}))
		var r Refusal
		if !r.parse(&s) || r.Reason != err || codeOf(err) != uint16(code) {
			t.Fatalf("code %d is %v", code, r.Reason)
		}
	}
	if codeOf(errors.New("else")) != 17 {
		t.Fatal("an unknown failure is not damage")
	}
}

// FuzzRequest: a request that is read is the one that would be written.
func FuzzRequest(f *testing.F) {
	for _, m := range requests() {
		f.Add(byte(m.kind()), bodyOf(m))
	}
	f.Fuzz(func(t *testing.T, k byte, body []byte) {
		m, err := parseRequest(kind(k), body)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(bodyOf(m), body) {
			t.Fatalf("%T: %x was read as %x", m, body, bodyOf(m))
		}
	})
}

// FuzzAnswer is FuzzRequest for what a relay says.
func FuzzAnswer(f *testing.F) {
	for m := range answers() {
		f.Add(bodyOf(m))
	}
	h := &hello{time: time.Unix(1893456000, 0), limits: Limits{Leases: []LeaseKind{LeaseOpen, LeaseWork}, Proofs: 1, Window: maxFrame, MaxTTL: MaxTTL}}
	f.Add(bodyOf(h))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, fresh := range answers() {
			s, m := cryptobyte.String(raw), fresh()
			if r, ok := m.(*Refusal); m.parse(&s) && s.Empty() && (!ok || r.Reason != ErrTryLater) && !bytes.Equal(bodyOf(m.(message)), raw) {
				t.Fatalf("%T: %x was read as %x", m, raw, bodyOf(m.(message)))
			}
		}
		if h, err := parseHello(raw); err == nil && !bytes.Equal(bodyOf(h), raw) {
			t.Fatalf("hello: %x was read as %x", raw, bodyOf(h))
		} else if err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatal(err)
		}
	})
}

// FuzzFrame: any frame is parted or malformed.
func FuzzFrame(f *testing.F) {
	f.Add(encode(nil, 7, &ping{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, body, err := splitFrame(b)
		if (err != nil) != (len(b) < headSize) || err == nil && len(body) != len(b)-headSize {
			t.Fatalf("%d bytes: %d, %v", len(b), len(body), err)
		}
	})
}

// TestProofs: both sides forget the same.
func TestProofs(t *testing.T) {
	p := proofs[int]{max: 3}
	for i := range byte(3) {
		p.set(QID{i}, 1)
	}
	p.set(QID{0}, 2) // changes what is known, not the order
	p.set(QID{3}, 1)
	for i, want := range []int{0, 1, 1, 1} {
		if got := p.known[QID{byte(i)}]; got != want {
			t.Fatalf("queue %d: %v", i, got)
		}
	}
	for i := range byte(100) {
		p.set(QID{i, 1}, 1)
	}
	if len(p.known) != 3 || len(p.order) != 3 {
		t.Fatalf("%d remembered", len(p.known))
	}
}

// TestClock: attacks.md row 34 at a relay.
func TestClock(t *testing.T) {
	const day = 24 * time.Hour
	noon := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	c := newClock(noon, noon.Add(-day))
	for i := range time.Duration(100) {
		if ok, j := c.look(noon.Add(i*time.Minute), i*time.Minute); !ok || j != 0 {
			t.Fatalf("a steady clock is not trusted after %d minutes (%v)", i, j)
		}
	}
	for _, jump := range []time.Duration{10 * 365 * day, -365 * day, 2 * time.Hour} {
		c := newClock(noon, time.Time{})
		if ok, j := c.look(noon.Add(jump+time.Minute), time.Minute); ok || j != jump {
			t.Fatalf("a jump by %v is trusted (%v)", jump, j)
		}
		if ok, _ := c.look(noon.Add(jump+time.Hour), time.Hour); ok {
			t.Fatalf("a jump by %v is trusted within the hour", jump)
		}
		if ok, _ := c.look(noon.Add(jump+61*time.Minute), 61*time.Minute); !ok {
			t.Fatalf("a jump by %v is never forgotten", jump)
		}
	}
	c = newClock(noon, noon.Add(365*day)) // it saw a later time before
	if ok, _ := c.look(noon.Add(59*time.Minute), 59*time.Minute); ok {
		t.Fatal("a clock behind what was seen is trusted")
	}
	if ok, _ := c.look(noon.Add(time.Hour), time.Hour); !ok {
		t.Fatal("a clock that ran an hour is not trusted")
	}
}
