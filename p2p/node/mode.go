package node

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	ma "github.com/multiformats/go-multiaddr"
)

// A Mode says how far a node's packets may travel.
type Mode string

const (
	// Public reaches the whole Internet.
	Public Mode = "public"
	// LAN stays in the prefixes of this machine's own interfaces.
	LAN Mode = "lan"
	// Loopback stays on this machine: for tests and demonstrations.
	Loopback Mode = "loopback"
)

// ParseMode reads a mode as people write it.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case Public, LAN, Loopback:
		return m, nil
	}
	return "", fmt.Errorf("node: mode %q is not one of public, lan, loopback", s)
}

// AllowedAddr tells whether a node in mode m may dial a, an address that a peer
// supplied (attack: addresses that point inward). It must be
// /ip4 or /ip6, then /tcp/PORT or /udp/PORT/quic-v1, then at most /p2p/ID: a
// host name is refused in every mode, because to look it up is already to
// speak to strangers.
//
//   - public: a global unicast address by the IANA special-purpose registries,
//     none that carries an IPv4 address within (NAT64, 6to4, Teredo, mapped);
//   - lan: within a prefix of one of this machine's interfaces, which are read
//     anew each time, loopback and multicast excepted;
//   - loopback: 127.0.0.0/8 and ::1.
func AllowedAddr(m Mode, a ma.Multiaddr) bool {
	ip, ok := dialIP(a)
	return ok && allowedIP(m, ip, interfacePrefixes)
}

// Named says whether an address begins with a host name.
func Named(a ma.Multiaddr) bool {
	first, _ := ma.SplitFirst(a)
	if first == nil {
		return false
	}
	switch first.Protocol().Code {
	case ma.P_DNS, ma.P_DNS4, ma.P_DNS6, ma.P_DNSADDR:
		return true
	}
	return false
}

// allowedIP is the rule without the form of the address. prefixes is asked in
// LAN mode only.
func allowedIP(m Mode, ip netip.Addr, prefixes func() []netip.Prefix) bool {
	switch m {
	case Loopback:
		return ip.IsLoopback() && !ip.Is4In6()
	case LAN:
		if ip.IsLoopback() || ip.IsMulticast() || ip.IsUnspecified() || ip.Is4In6() {
			return false
		}
		for _, p := range prefixes() {
			if p.Contains(ip.WithZone("")) && !p.Addr().IsLoopback() {
				return true
			}
		}
		return false
	case Public:
		return global(ip)
	}
	return false
}

// dialIP is the IP address of a multiaddr of the one form that is dialled.
func dialIP(a ma.Multiaddr) (ip netip.Addr, ok bool) {
	const (
		wantIP = iota
		wantPort
		wantQUIC
		wantPeer
		done
		bad
	)
	zone, state := "", wantIP
	for _, c := range a {
		switch code := c.Protocol().Code; {
		case state == wantIP && code == ma.P_IP6ZONE && zone == "":
			zone = c.Value()
		case state == wantIP && code == ma.P_IP4 && zone == "", state == wantIP && code == ma.P_IP6:
			ip, _ = netip.AddrFromSlice(c.RawValue())
			ip = ip.WithZone(zone)
			state = wantPort
		case state == wantPort && code == ma.P_TCP && port(c) != 0:
			state = wantPeer
		case state == wantPort && code == ma.P_UDP && port(c) != 0:
			state = wantQUIC
		case state == wantQUIC && code == ma.P_QUIC_V1:
			state = wantPeer
		case state == wantPeer && code == ma.P_P2P:
			state = done
		default:
			state = bad
		}
	}
	return ip, ip.IsValid() && (state == wantPeer || state == done)
}

func port(c ma.Component) int {
	n, err := strconv.Atoi(c.Value())
	if err != nil {
		return 0
	}
	return n
}

// global tells whether an address can be that of a stranger's computer: not
// special-purpose by the IANA IPv4 and IPv6 Special-Purpose Address Registries
// (RFC 6890 and its updates), nor able to smuggle in one that is.
func global(ip netip.Addr) bool {
	if !ip.IsValid() || ip.Zone() != "" || ip.Is4In6() {
		return false
	}
	if ip.Is6() && !netip.MustParsePrefix("2000::/3").Contains(ip) {
		return false // global unicast is 2000::/3 alone (RFC 4291, section 2.4)
	}
	for _, s := range special {
		if netip.MustParsePrefix(s).Contains(ip) {
			return false
		}
	}
	return true
}

// special lists what is not a stranger's computer. 203.0.113.0/24 and its like
// are for documents only; 64:ff9b::/96, 2002::/16 and 2001::/32 carry an IPv4
// address that the rules above would not see (RFC 6052, 3056, 4380).
var special = [...]string{
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
	"172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
}

// interfacePrefixes reads the prefixes of this machine's interfaces. A machine
// that does not tell has none, and then nothing is dialled.
func interfacePrefixes() []netip.Prefix {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var ps []netip.Prefix
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(n.IP)
		if !ok {
			continue
		}
		ones, bits := n.Mask.Size()
		ip = ip.Unmap()
		if ip.BitLen() != bits {
			continue // a mask of another family
		}
		ps = append(ps, netip.PrefixFrom(ip, ones).Masked())
	}
	return ps
}
