package mailbox

import (
	"bytes"
	"slices"

	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/crypto/cryptobyte"

	"github.com/godwit-im/godwit/p2p/node"
)

// MaxRoutes is how many circuit addresses a relay tells: two for each hop.
const MaxRoutes = 2 * node.MaxHops

// routes asks through which other relays this one can be reached.
type routes struct{}

func (m *routes) kind() kind                      { return kindRoutes }
func (m *routes) append(b *cryptobyte.Builder)    {}
func (m *routes) parse(s *cryptobyte.String) bool { return true }

type routesAnswer struct{ addrs []ma.Multiaddr }

func (m *routesAnswer) kind() kind { return kindRoutes | kindAnswer }

func (m *routesAnswer) append(b *cryptobyte.Builder) {
	b.AddUint8(uint8(len(m.addrs)))
	for _, a := range m.addrs {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(a.Bytes()) })
	}
}

func (m *routesAnswer) parse(s *cryptobyte.String) bool {
	var n uint8
	if !s.ReadUint8(&n) || n > MaxRoutes {
		return false
	}
	var ok bool
	m.addrs, ok = readAddrs(s, int(n), isCircuit)
	return ok
}

func isCircuit(a ma.Multiaddr) bool {
	_, ok := node.SplitCircuit(a)
	return ok
}

// readAddrs reads n multiaddrs, all different, canonical and such as are wanted.
func readAddrs(s *cryptobyte.String, n int, wanted func(ma.Multiaddr) bool) (list []ma.Multiaddr, ok bool) {
	for range n {
		var raw cryptobyte.String
		if !s.ReadUint8LengthPrefixed(&raw) {
			return nil, false
		}
		a, err := ma.NewMultiaddrBytes(raw)
		if err != nil || len(a) == 0 || !bytes.Equal(a.Bytes(), raw) || !wanted(a) || slices.ContainsFunc(list, a.Equal) {
			return nil, false
		}
		list = append(list, a)
	}
	return list, true
}
