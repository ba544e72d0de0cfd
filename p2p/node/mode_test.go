package node

import (
	"net/netip"
	"testing"

	ma "github.com/multiformats/go-multiaddr"
)

// Which addresses a peer may make us dial. Each row says in which of the modes
// public, lan (on 192.168.7.0/24, 2001:470:1::/64 and fe80::/64) and loopback.
func TestDialRules(t *testing.T) {
	const (
		p = 1 << iota
		l
		o
	)
	const id = "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo"
	lan := func() []netip.Prefix {
		return []netip.Prefix{
			netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
			netip.MustParsePrefix("192.168.7.0/24"), netip.MustParsePrefix("2001:470:1::/64"), netip.MustParsePrefix("fe80::/64"),
		}
	}
	for addr, want := range map[string]int{
		// the forms
		"/ip4/11.22.33.44/tcp/4001":                         p,
		"/ip4/11.22.33.44/udp/4001/quic-v1":                 p,
		"/ip4/11.22.33.44/tcp/4001/p2p/" + id:               p,
		"/ip4/11.22.33.44/udp/4001/quic-v1/p2p/" + id:       p,
		"/ip6/2606:4700::1/tcp/1":                           p,
		"/ip4/11.22.33.44/tcp/0":                            0,
		"/ip4/11.22.33.44/udp/0/quic-v1":                    0,
		"/ip4/11.22.33.44":                                  0,
		"/ip4/11.22.33.44/udp/53":                           0,
		"/ip4/11.22.33.44/tcp/80/ws":                        0,
		"/ip4/11.22.33.44/tcp/443/tls/ws":                   0,
		"/ip4/11.22.33.44/tcp/80/http":                      0,
		"/ip4/11.22.33.44/udp/4001/quic-v1/webtransport":    0,
		"/ip4/11.22.33.44/udp/4001/webrtc-direct":           0,
		"/ip4/11.22.33.44/udp/4001/quic":                    0,
		"/ip4/11.22.33.44/tcp/1/p2p/" + id + "/p2p-circuit": 0,
		"/ip4/11.22.33.44/tcp/1/p2p/" + id + "/p2p/" + id:   0,
		"/ip4/11.22.33.44/ip4/127.0.0.1/tcp/1":              0,
		"/p2p/" + id:                                        0,
		"/p2p-circuit":                                      0,
		// names
		"/dns4/localhost/tcp/4001":           0,
		"/dns/example.org/tcp/4001":          0,
		"/dns6/example.org/udp/4001/quic-v1": 0,
		"/dnsaddr/bootstrap.example.org":     0,
		"/unix/tmp/socket":                   0,
		"/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234": 0,
		// this machine
		"/ip4/127.0.0.1/tcp/22":                            o,
		"/ip4/127.8.8.8/udp/22/quic-v1":                    o,
		"/ip6/::1/tcp/22":                                  o,
		"/ip6/::ffff:127.0.0.1/tcp/22":                     0,
		"/ip6/::127.0.0.1/tcp/22":                          0,
		"/ip6/64:ff9b::7f00:1/tcp/22":                      0,
		"/ip6/2002:7f00:1::/tcp/22":                        0,
		"/ip6/2001:0:4136:e378:8000:63bf:80ff:fffe/tcp/22": 0,
		"/ip4/0.0.0.0/tcp/22":                              0,
		"/ip4/0.1.2.3/tcp/22":                              0,
		"/ip6/::/tcp/22":                                   0,
		"/ip6zone/lo/ip6/::1/tcp/22":                       o,
		// this network
		"/ip4/192.168.7.1/tcp/80":               l,
		"/ip4/192.168.8.1/tcp/80":               0,
		"/ip6/2001:470:1::99/tcp/80":            p | l,
		"/ip6/2001:470:2::99/tcp/80":            p,
		"/ip6/fe80::1/tcp/80":                   l,
		"/ip6zone/eth0/ip6/fe80::1/tcp/80":      l,
		"/ip6zone/eth0/ip6/2606:4700::1/tcp/80": 0,
		"/ip6zone/eth0/ip4/11.22.33.44/tcp/80":  0,
		"/ip4/10.0.0.1/tcp/80":                  0,
		"/ip4/172.16.0.1/tcp/80":                0,
		"/ip4/172.31.255.255/tcp/80":            0,
		"/ip4/172.32.0.1/tcp/80":                p,
		"/ip4/100.64.0.1/tcp/80":                0,
		"/ip4/169.254.169.254/tcp/80":           0,
		"/ip6/fd00::1/tcp/80":                   0,
		"/ip6/fec0::1/tcp/80":                   0,
		"/ip6/::ffff:10.0.0.1/tcp/80":           0,
		"/ip6/64:ff9b::a00:1/tcp/80":            0,
		"/ip6/64:ff9b:1::a00:1/tcp/80":          0,
		"/ip6/2002:a00:1::/tcp/80":              0,
		// nobody's, everybody's
		"/ip4/255.255.255.255/udp/1/quic-v1": 0,
		"/ip4/224.0.0.251/udp/5353/quic-v1":  0,
		"/ip4/240.0.0.1/tcp/80":              0,
		"/ip6/ff02::fb/udp/5353/quic-v1":     0,
		"/ip6/ff0e::1/udp/5353/quic-v1":      0,
		"/ip4/192.0.0.1/tcp/80":              0,
		"/ip4/192.0.2.1/tcp/80":              0,
		"/ip4/198.18.0.1/tcp/80":             0,
		"/ip4/198.51.100.1/tcp/80":           0,
		"/ip4/203.0.113.1/tcp/80":            0,
		"/ip6/100::1/tcp/80":                 0,
		"/ip6/2001:db8::1/tcp/80":            0,
		"/ip6/2001:2::1/tcp/80":              0,
		"/ip6/3fff::1/tcp/80":                0,
		"/ip6/5f00::1/tcp/80":                0,
	} {
		a, err := ma.NewMultiaddr(addr)
		if err != nil {
			t.Errorf("%s: %v", addr, err)
			continue
		}
		for mode, bit := range map[Mode]int{Public: p, LAN: l, Loopback: o, "": 8} {
			ip, ok := dialIP(a)
			got := ok && allowedIP(mode, ip, lan)
			if got != (want&bit != 0) {
				t.Errorf("%s in mode %s: %v", addr, mode, got)
			}
			if mode != LAN && AllowedAddr(mode, a) != got {
				t.Errorf("%s in mode %s: AllowedAddr differs", addr, mode)
			}
		}
	}
	if AllowedAddr(Loopback, nil) || AllowedAddr(Public, ma.Multiaddr{}) {
		t.Error("no address at all is allowed")
	}
}

// The LAN rule reads this machine's own interfaces.
func TestLANIsThisMachinesNetwork(t *testing.T) {
	for _, p := range interfacePrefixes() {
		a, err := ma.NewMultiaddr("/ip4/" + p.Addr().String() + "/tcp/1")
		if !p.Addr().Is4() || err != nil {
			continue
		}
		if got, want := AllowedAddr(LAN, a), !p.Addr().IsLoopback(); got != want {
			t.Errorf("%s of our own %s: %v", a, p, got)
		}
	}
	if a := ma.StringCast("/ip4/11.22.33.44/tcp/1"); AllowedAddr(LAN, a) {
		t.Errorf("%s", a)
	}
}

func TestParseMode(t *testing.T) {
	for _, m := range []Mode{Public, LAN, Loopback} {
		if got, err := ParseMode(string(m)); got != m || err != nil {
			t.Errorf("%s: %s, %v", m, got, err)
		}
	}
	for _, s := range []string{"", "Public", "lan ", "internet"} {
		if m, err := ParseMode(s); err == nil {
			t.Errorf("%q is mode %q", s, m)
		}
	}
}

// FuzzDialRules: whatever a peer writes as an address, no mode dials what
// belongs to another.
func FuzzDialRules(f *testing.F) {
	for _, s := range []string{"/ip4/127.0.0.1/tcp/1", "/ip6/::1/udp/1/quic-v1", "/ip4/11.22.33.44/tcp/1", "/ip6zone/x/ip6/fe80::1/tcp/1", "/dns4/x/tcp/1"} {
		f.Add(ma.StringCast(s).Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ma.NewMultiaddrBytes(b)
		if err != nil {
			return
		}
		loop, public := AllowedAddr(Loopback, a), AllowedAddr(Public, a)
		if loop && public {
			t.Fatalf("%s is on this machine and not", a)
		}
		ip, ok := dialIP(a)
		if public && (!ok || !ip.IsGlobalUnicast() || ip.IsPrivate()) || loop && (!ok || !ip.IsLoopback()) {
			t.Fatalf("%s is allowed", a)
		}
	})
}
