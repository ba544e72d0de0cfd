package direct

import (
	"encoding/hex"
	"testing"
)

// TestFrozen holds the bytes of SPEC.md: other versions speak to this one.
func TestFrozen(t *testing.T) {
	var auth, nonce [32]byte
	for i := range auth {
		auth[i], nonce[i] = byte(i), byte(0xff-i)
	}
	hash := HashOf([]byte("a message"))
	hello := helloMAC(auth, fromOpener, "opener", "accepter", nonce)
	answer := helloMAC(auth, fromAccepter, "opener", "accepter", nonce)
	mac := ackMAC(auth, hash)
	for _, c := range []struct {
		name  string
		bytes []byte
		want  string
	}{
		{"hash", hash[:], "f53c09ca39717a45c62d9aca8f8113eddbfd5f81dcab0b33b1c1834075225e68"},
		{"the opener's MAC", hello[:], "f7bc87153b712a545b53b47bb741873ac8965af529ddd7d0470180c05704928f"},
		{"the accepter's MAC", answer[:], "d2691b13ab3cedd883e76e1e181d79ab6cf66ea034c9ac056dc844763e8db0ac"},
		{"the acknowledgement's MAC", mac[:], "be161fed6fd263ba845b9566f625c8d8"},
		{"WELCOME", welcome{answer, window{256, 1 << 20}}.marshal(), "0104d2691b13ab3cedd883e76e1e181d79ab6cf66ea034c9ac056dc844763e8db0ac010000100000"},
		{"ACK", marshalAck([]Ack{{hash, mac}}), "0106f53c09ca39717a45c62d9aca8f8113eddbfd5f81dcab0b33b1c1834075225e68be161fed6fd263ba845b9566f625c8d8"},
		{"NAK", marshalNak([]Nak{{hash, Full}, {hash, TooFar}}), "0107f53c09ca39717a45c62d9aca8f8113eddbfd5f81dcab0b33b1c1834075225e6805f53c09ca39717a45c62d9aca8f8113eddbfd5f81dcab0b33b1c1834075225e6804"},
		{"PING", marshalPing(typePing, 7), "01080000000000000007"},
		{"PONG", marshalPing(typePong, 1<<40), "01090000010000000000"},
		{"BYE", marshalBye(byeReplaced), "010a05"},
	} {
		if got := hex.EncodeToString(c.bytes); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
