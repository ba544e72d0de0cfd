package content

import (
	"bytes"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// Keeping says that a relay on the author's computer keeps mail for this reader, or does so no
// more. The newest (Item.Sent) holds. The token pays for one box there (mailbox.FriendBox), and is for
// this reader's device alone.
//
//	body: 1 | length 1 | peer id | token 32 | count 1 | count x (length 2 | multiaddr)
//	body: 0 | length 1 | peer id | until 8 (unix s)
type Keeping struct {
	Relay []byte    // libp2p peer id, binary
	Token [32]byte  // while it keeps mail
	Addrs [][]byte  // multiaddrs, binary, at least one; nil: it takes nothing more
	Until time.Time // then: when it will have gone, in whole seconds; what it keeps it gives out until then
}

// maxUntil bounds times in unix seconds: the end of the year 9999.
const maxUntil = maxSent / 1000

// Marshal encodes it.
func (k Keeping) Marshal() ([]byte, error) {
	if len(k.Relay) == 0 || len(k.Relay) > maxPeer || len(k.Addrs) > MaxAddrs {
		return nil, fmt.Errorf("%w: keeping with %d addresses", ErrMalformed, len(k.Addrs))
	}
	var b cryptobyte.Builder
	keeps := len(k.Addrs) > 0
	if keeps {
		b.AddUint8(1)
	} else {
		b.AddUint8(0)
	}
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(k.Relay) })
	if !keeps {
		if u := k.Until.Unix(); u < 0 || u > maxUntil {
			return nil, fmt.Errorf("%w: keeping until %v", ErrMalformed, k.Until)
		}
		b.AddUint64(uint64(k.Until.Unix()))
		return b.Bytes()
	}
	b.AddBytes(k.Token[:])
	b.AddUint8(uint8(len(k.Addrs)))
	for _, a := range k.Addrs {
		if len(a) == 0 || len(a) > MaxAddr {
			return nil, fmt.Errorf("%w: address of %d bytes", ErrMalformed, len(a))
		}
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(a) })
	}
	return b.Bytes()
}

// ParseKeeping reads a body of KindKeeping.
func ParseKeeping(body []byte) (Keeping, error) {
	var k Keeping
	s := cryptobyte.String(body)
	var peer cryptobyte.String
	var state, count uint8
	if !s.ReadUint8(&state) || state > 1 || !s.ReadUint8LengthPrefixed(&peer) || len(peer) == 0 || len(peer) > maxPeer {
		return k, fmt.Errorf("%w: keeping", ErrMalformed)
	}
	k.Relay = bytes.Clone(peer)
	if state == 0 {
		var until uint64
		if !s.ReadUint64(&until) || until > maxUntil || !s.Empty() {
			return k, fmt.Errorf("%w: end of keeping", ErrMalformed)
		}
		k.Until = time.Unix(int64(until), 0).UTC()
		return k, nil
	}
	if !s.CopyBytes(k.Token[:]) || !s.ReadUint8(&count) || count == 0 || count > MaxAddrs {
		return k, fmt.Errorf("%w: keeping", ErrMalformed)
	}
	for range count {
		var a cryptobyte.String
		if !s.ReadUint16LengthPrefixed(&a) || len(a) == 0 || len(a) > MaxAddr {
			return k, fmt.Errorf("%w: address", ErrMalformed)
		}
		k.Addrs = append(k.Addrs, bytes.Clone(a))
	}
	if !s.Empty() {
		return k, fmt.Errorf("%w: bytes after the addresses", ErrMalformed)
	}
	return k, nil
}
