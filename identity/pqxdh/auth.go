package pqxdh

import (
	"crypto/hmac"
	"crypto/sha256"

	"golang.org/x/crypto/cryptobyte"
)

const (
	helloLabel = "godwit/1/hello"
	ackLabel   = "godwit/1/ack"
)

// Directions of a hello.
const (
	FromDialler  byte = 1
	FromListener byte = 2
)

// HelloMAC proves, at the start of a direct connection, that its sender holds
// the session: HMAC-SHA256(AUTH, label ‖ direction ‖ both peer ids ‖ nonce).
// The direction says who sends it, dialler and listener are the peer ids of the
// connection's two ends (at most 65,535 bytes each), and the nonce is the
// receiver's. Compare with crypto/hmac's Equal.
func HelloMAC(auth [32]byte, direction byte, dialler, listener []byte, nonce [32]byte) [32]byte {
	b := cryptobyte.NewBuilder([]byte(helloLabel))
	b.AddUint8(direction)
	for _, id := range [][]byte{dialler, listener} {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(id) })
	}
	b.AddBytes(nonce[:])
	return [32]byte(mac(auth, b.BytesOrPanic()))
}

// AckMAC is the evidence that the other device has kept a message:
// HMAC-SHA256(AUTH, label ‖ ratchet.MessageHash)[:16]. Compare with
// crypto/hmac's Equal.
func AckMAC(auth, message [32]byte) [16]byte {
	return [16]byte(mac(auth, append([]byte(ackLabel), message[:]...)))
}

func mac(auth [32]byte, text []byte) []byte {
	m := hmac.New(sha256.New, auth[:])
	m.Write(text)
	return m.Sum(nil)
}
