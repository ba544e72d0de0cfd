package dht

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/godwit-im/godwit/p2p/node"
	kadrecords "github.com/libp2p/go-libp2p-kad-dht/records"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	// RelayKeys is the number of keys under which relays announce themselves
	// each day.
	RelayKeys = 16
	// AnnouncementLife is how long a server keeps an announcement.
	AnnouncementLife = 12 * time.Hour

	// providersPerKey bounds the relays kept under one key, and providersPerAnswer
	// those given out at once, chosen by lot.
	providersPerKey, providersPerAnswer = 256, 32
	// providersPerGroup bounds the relays kept under one key whose addresses
	// are in one group.
	providersPerGroup = 4
)

var errProvider = errors.New("dht: not an announcement that is kept")

// relayKey is key i of a day, which counts from 1970 in UTC.
func relayKey(day uint32, i int) [32]byte {
	b := binary.BigEndian.AppendUint32([]byte("godwit/1/relay"), day)
	return sha256.Sum256(append(b, byte(i)))
}

func dayOf(t time.Time) uint32 { return uint32(t.Unix() / 86400) }

// providers keeps who announced to be a relay. It takes announcements under the
// keys of yesterday, today and tomorrow alone, so that it needs no other bound
// than those per key.
type providers struct {
	grouped bool // bound the relays of one group of addresses

	mu    sync.Mutex
	today uint32 // the day that keys were made for
	keys  map[[32]byte]map[peer.ID]announced
}

type announced struct {
	info   peer.AddrInfo
	group  netip.Prefix
	expiry time.Time
}

var _ kadrecords.ProviderStore = (*providers)(nil)

func newProviders(grouped bool) *providers { return &providers{grouped: grouped} }

// at keeps the keys those of the day, with what is under them.
func (p *providers) at(now time.Time) {
	day := dayOf(now)
	if p.keys != nil && day == p.today {
		return
	}
	keys := make(map[[32]byte]map[peer.ID]announced, 3*RelayKeys)
	for d := day - 1; d != day+2; d++ {
		for i := range RelayKeys {
			k := relayKey(d, i)
			keys[k] = p.keys[k]
			if keys[k] == nil {
				keys[k] = make(map[peer.ID]announced)
			}
		}
	}
	p.today, p.keys = day, keys
}

// AddProvider keeps an announcement. info's addresses were filtered by the caller.
func (p *providers) AddProvider(_ context.Context, key []byte, info peer.AddrInfo) error {
	if len(key) != sha256.Size || len(info.Addrs) == 0 {
		return errProvider
	}
	info.Addrs = cut(info.Addrs, maxAddrs)
	now := time.Now()
	a := announced{info: info, expiry: now.Add(AnnouncementLife)}
	if ip, ok := ipOf(info.Addrs[0]); ok {
		a.group = node.Group(ip)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at(now)
	under := p.keys[[32]byte(key)]
	if under == nil {
		return errProvider
	}
	forget(under, now)
	if _, known := under[info.ID]; !known && (len(under) >= providersPerKey || p.grouped && inGroup(under, a.group) >= providersPerGroup) {
		return errProvider
	}
	under[info.ID] = a
	return nil
}

func inGroup(under map[peer.ID]announced, g netip.Prefix) (n int) {
	for _, a := range under {
		if a.group == g {
			n++
		}
	}
	return n
}

func forget(under map[peer.ID]announced, now time.Time) {
	for id, a := range under {
		if !a.expiry.After(now) {
			delete(under, id)
		}
	}
}

// GetProviders draws some of those kept.
func (p *providers) GetProviders(_ context.Context, key []byte) ([]peer.AddrInfo, error) {
	if len(key) != sha256.Size {
		return nil, nil
	}
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at(now)
	var infos []peer.AddrInfo
	for _, a := range p.keys[[32]byte(key)] {
		if a.expiry.After(now) {
			infos = append(infos, a.info)
		}
	}
	rand.Shuffle(len(infos), func(i, j int) { infos[i], infos[j] = infos[j], infos[i] })
	return cut(infos, providersPerAnswer), nil
}

func (p *providers) sweep() {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at(now)
	for _, under := range p.keys {
		forget(under, now)
	}
}

func (p *providers) len() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, under := range p.keys {
		n += len(under)
	}
	return n
}

// Close has nothing to do.
func (p *providers) Close() error { return nil }
