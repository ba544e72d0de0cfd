package store

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// sealer seals single values: nonce 24 ‖ XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha),
// with AD = version ‖ table ‖ 0 ‖ row id, so that a value put into another row
// or table is refused.
type sealer struct{ aead cipher.AEAD }

// sealVersion is the first byte of the associated data.
const sealVersion = 1

func pageKey(key [32]byte) string { return hex.EncodeToString(derive(key, "godwit/1/store/pages")) }

func newSealer(key [32]byte) sealer {
	aead, err := chacha20poly1305.NewX(derive(key, "godwit/1/store/rows"))
	if err != nil {
		panic("store: a derived key has 32 bytes: " + err.Error())
	}
	return sealer{aead}
}

func derive(key [32]byte, label string) []byte {
	k, err := hkdf.Key(sha256.New, key[:], nil, label, 32)
	if err != nil {
		panic("store: HKDF gives 32 bytes: " + err.Error())
	}
	return k
}

func (s sealer) seal(table string, id, value []byte) []byte {
	b := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+len(value)+chacha20poly1305.Overhead)
	rand.Read(b) // never fails, see crypto/rand
	return s.aead.Seal(b, b, value, rowAD(table, id))
}

// open returns what seal was given, or ErrDamaged.
func (s sealer) open(table string, id, sealed []byte) ([]byte, error) {
	if len(sealed) < chacha20poly1305.NonceSizeX {
		return nil, fmt.Errorf("store: %w: a sealed value of %s is cut short", ErrDamaged, table)
	}
	nonce, box := sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:]
	value, err := s.aead.Open(nil, nonce, box, rowAD(table, id))
	if err != nil {
		return nil, fmt.Errorf("store: %w: a sealed value of %s was altered or moved", ErrDamaged, table)
	}
	return value, nil
}

func rowAD(table string, id []byte) []byte {
	ad := append([]byte{sealVersion}, table...)
	return append(append(ad, 0), id...)
}

// rowID is an integer key as associated data.
func rowID(id int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(id)) }
