package ratchet

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/godwit-im/godwit/identity"
)

// key is any symmetric secret of the session.
type key = [32]byte

// chain is a symmetric-key ratchet (Double Ratchet, section 2.2).
type chain struct {
	key key
	n   uint32 // number of the message key that comes next
}

// next gives the message key number c.n and moves the chain past it.
func (c *chain) next() key {
	mk := hmacSHA256(&c.key, 1)
	c.skip()
	return mk
}

// skip moves the chain past a message key without making it.
func (c *chain) skip() {
	c.key = hmacSHA256(&c.key, 2)
	c.n++
}

// hmacSHA256 is HMAC-SHA256 (RFC 2104) with a 32-byte key. It and hmacSHA512 are
// written out because each message needs six of them, and crypto/hmac allocates
// seven times and takes twice as long. vectors_test.go holds both against
// Wycheproof and crypto/hmac.
func hmacSHA256(k *key, message ...byte) key {
	const block = sha256.BlockSize
	inner, outer := make([]byte, block, block+32), make([]byte, block, block+32)
	pad(inner, outer, k[:])
	digest := sha256.Sum256(append(inner, message...))
	return sha256.Sum256(append(outer, digest[:]...))
}

// hmacSHA512 is HMAC-SHA512 (RFC 2104) with a key of at most 128 bytes.
func hmacSHA512(k []byte, message ...byte) [64]byte {
	const block = sha512.BlockSize
	inner, outer := make([]byte, block, block+64), make([]byte, block, block+64)
	pad(inner, outer, k)
	digest := sha512.Sum512(append(inner, message...))
	return sha512.Sum512(append(outer, digest[:]...))
}

func pad(inner, outer, k []byte) {
	for i := range inner {
		inner[i], outer[i] = 0x36, 0x5c
	}
	subtle.XORBytes(inner, inner, k)
	subtle.XORBytes(outer, outer, k)
}

// rootKDF turns a root key: the next root key and two more keys.
func rootKDF(root key, ikm []byte, info string) (next, a, b key) {
	okm, err := hkdf.Key(sha256.New, ikm, root[:], info, 3*len(root))
	if err != nil {
		panic("ratchet: 96 bytes are within HKDF-SHA256's bound: " + err.Error())
	}
	return key(okm[:32]), key(okm[32:64]), key(okm[64:])
}

// ecKDF turns the root of the elliptic-curve half: next root, chain key, next header key.
func ecKDF(root key, dh []byte) (next, chainKey, header key) {
	return rootKDF(root, dh, "godwit/1/dr")
}

// pqKDF turns the root of the post-quantum half at the start of an epoch: next
// root, the chain key from initiator to responder, and the one back.
func pqKDF(root key, ss []byte, epoch uint32) (next, ab, ba key) {
	return rootKDF(root, ss, string(binary.BigEndian.AppendUint32([]byte("godwit/1/scka"), epoch)))
}

// messageKDF combines both message keys, over the hash of the message's sealed
// header: the body's key and the commitment to it. The random nonce in that
// header makes the key new even where a restored state gives the same two keys.
func messageKDF(ec, pq key, prefix []byte) (body, commitment key) {
	salt := sha256.Sum256(prefix)
	okm := hkdfSHA512(salt[:], append(ec[:], pq[:]...), "godwit/1/message")
	return key(okm[:32]), key(okm[32:])
}

// hkdfSHA512 is HKDF-SHA512 (RFC 5869) for an output of 64 bytes: one block.
func hkdfSHA512(salt, ikm []byte, info string) [64]byte {
	prk := hmacSHA512(salt, ikm...)
	return hmacSHA512(prk[:], append([]byte(info), 1)...)
}

// associated is version ‖ convAD, the same in both directions.
func (p Parties) associated() (ad [1 + 32]byte) {
	h := sha256.New()
	h.Write(p.InitiatorRoot[:])
	h.Write(p.InitiatorDevice[:])
	h.Write(p.ResponderRoot[:])
	h.Write(p.ResponderDevice[:])
	h.Write([]byte{p.Suite})
	ad[0] = Version
	h.Sum(ad[:1])
	return ad
}

// Parties are the two sides of a session, each by its account and its device.
// They are bound into every message.
type Parties struct {
	InitiatorRoot   identity.RootPublic
	InitiatorDevice identity.DevicePublic
	ResponderRoot   identity.RootPublic
	ResponderDevice identity.DevicePublic
	Suite           byte // identity.Suite
}

// headerAEAD seals headers: XChaCha20-Poly1305, nonces random.
func headerAEAD(k *key) cipher.AEAD { return must(chacha20poly1305.NewX(k[:])) }

// bodyAEAD seals bodies: ChaCha20-Poly1305, each key once.
func bodyAEAD(k *key) cipher.AEAD { return must(chacha20poly1305.New(k[:])) }

func must(a cipher.AEAD, err error) cipher.AEAD {
	if err != nil {
		panic("ratchet: 32 bytes are always a key: " + err.Error())
	}
	return a
}
