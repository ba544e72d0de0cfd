package store

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// errList says that bytes are not a list as encodeList writes it.
var errList = errors.New("not a list")

// listVersion is the first byte of an encoded list.
const listVersion = 1

// encodeList writes a list of byte strings (multiaddrs) as version ‖ {length 2 ‖
// bytes}..., big-endian.
func encodeList(list [][]byte) ([]byte, error) {
	b := cryptobyte.NewBuilder([]byte{listVersion})
	for _, item := range list {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(item) })
	}
	return b.Bytes()
}

// decodeList reads what encodeList wrote and refuses anything else.
func decodeList(b []byte) ([][]byte, error) {
	s := cryptobyte.String(b)
	var version uint8
	if !s.ReadUint8(&version) || version != listVersion {
		return nil, fmt.Errorf("%w: unknown version", errList)
	}
	var list [][]byte
	for !s.Empty() {
		var item cryptobyte.String
		if !s.ReadUint16LengthPrefixed(&item) {
			return nil, fmt.Errorf("%w: cut short", errList)
		}
		list = append(list, append([]byte{}, item...))
	}
	return list, nil
}

// addrs scans an encoded list.
type addrs struct{ to *[][]byte }

// Scan implements scanner.
func (a addrs) Scan(src any) error {
	if src == nil {
		*a.to = nil
		return nil
	}
	b, ok := src.([]byte)
	if !ok {
		return fmt.Errorf("%w: a list is not bytes", ErrDamaged)
	}
	list, err := decodeList(b)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	*a.to = list
	return nil
}
