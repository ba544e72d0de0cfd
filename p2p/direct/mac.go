package direct

import (
	"github.com/godwit-im/godwit/identity/pqxdh"
	"github.com/libp2p/go-libp2p/core/peer"
)

// The direction byte of a hello's MAC (SPEC.md, section 4): the opener of a
// stream is pqxdh's dialler, whoever dialled the connection under it.
const (
	fromOpener   = pqxdh.FromDialler
	fromAccepter = pqxdh.FromListener
)

func helloMAC(auth [32]byte, direction byte, opener, accepter peer.ID, nonce [32]byte) [32]byte {
	return pqxdh.HelloMAC(auth, direction, []byte(opener), []byte(accepter), nonce)
}

func ackMAC(auth [32]byte, h Hash) [16]byte { return pqxdh.AckMAC(auth, h) }
