// Package ratchet is a session between two devices: a Double Ratchet with
// header encryption beside a post-quantum ratchet, both feeding every message
// key. SPEC.md in this folder is the normative description, with byte layouts
// and a transcript; this is the short of it.
//
// The elliptic-curve half is section 4 of Signal's "The Double Ratchet
// Algorithm"; the post-quantum half is a sparse continuous key agreement with
// ML-KEM-768 keys sent whole (the same document, sections 5 and 6; Dodis et al.,
// "Triple Ratchet", eprint 2025/078). A message is
//
//	   0  version              1 byte, 1
//	   1  header nonce        24, random
//	  25  sealed header     1280, XChaCha20-Poly1305 under a header key
//	1305  commitment          32, to the message key
//	1337  sealed body              ChaCha20-Poly1305 of payload ‖ 0x80 ‖ zeros
//
// and has one of three sizes, so that a cell of the mailbox or a frame of the
// direct protocol tells nothing else about it.
//
// The package is pure: bytes, randomness (crypto/rand) and time come in, bytes
// and errors go out. Only Seal draws randomness; Open is a function of the
// state, the message and the time. A Session is changed by Seal, and by an Open
// that succeeds; an Open that fails leaves it byte for byte as it was. The
// caller (app/session) keeps the new state in the transaction that keeps the
// message. A Session is not safe for concurrent use: one goroutine owns it.
package ratchet
