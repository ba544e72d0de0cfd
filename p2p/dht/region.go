package dht

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"
	"sync"

	kb "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	// regionServers is how many honest servers a region holds at least, as far
	// as the size of the DHT is known: of 40 expected there are 20 in all but one
	// of 5,000 regions.
	regionServers = 2 * bucketSize
	// parts is into how many parts a region is divided for looking it over, and
	// partBits the bits that tell them apart.
	parts, partBits = 1 << partBits, 3
	// maxRegionBits bounds the work of finding keys of a region: some 2^(16+4)
	// hashes, a fifth of a second, for a DHT of 2.6 million servers.
	maxRegionBits = 16
)

// region lists the servers that answer in the part of the DHT round a key that ought to
// hold at least regionServers: all those whose ids share the key's first bits. Sybils
// which stand nearer to the key than all honest peers, and answer a lookup of the
// key alone, are some among those then. (Region-based queries: Sridhar et al., NDSS
// 2024.) Each part of the region is looked over by a path to a key drawn from it, so
// no answer of a Sybil decides whom we find, nor do Sybils that crowded others out of the
// bucket of our routing table that the key falls into.
func (d *DHT) region(ctx context.Context, key string) []peer.ID {
	at := kb.ConvertKey(key)
	shared := regionBits(d.counted(ctx))
	keys := drawKeys(at, shared)
	var mu sync.Mutex
	var in []peer.ID
	atOnce(keys[:], func(k [32]byte) {
		answered := d.followAll(ctx, string(k[:]))
		mu.Lock()
		defer mu.Unlock()
		for _, p := range cut(d.spread(answered), bucketSize) {
			if kb.CommonPrefixLen(at, kb.ConvertPeerID(p)) >= shared && !slices.Contains(in, p) {
				in = append(in, p)
			}
		}
	})
	return in
}

// regionBits is how many bits the ids of a region share in a DHT of a size; 0 is all of
// it.
func regionBits(size int) int {
	return min(max(bits.Len(uint(size/regionServers))-1, 0), maxRegionBits)
}

// drawKeys draws one key for each part of the region of ids that share some bits with
// another. What they hash to is what counts, so they are tried.
func drawKeys(at kb.ID, shared int) (keys [parts][32]byte) {
	var k [32]byte
	rand.Read(k[:])
	var have [parts]bool
	for left := parts; left > 0; {
		binary.BigEndian.PutUint64(k[:], binary.BigEndian.Uint64(k[:])+1)
		h := sha256.Sum256(k[:])
		if kb.CommonPrefixLen(at, h[:]) < shared {
			continue
		}
		i := int(binary.BigEndian.Uint32(h[:])<<shared>>(32-partBits)) & (parts - 1)
		if !have[i] {
			keys[i], have[i] = k, true
			left--
		}
	}
	return keys
}
