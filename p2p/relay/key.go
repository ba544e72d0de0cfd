package relay

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/libp2p/go-libp2p/core/crypto"
	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// keyVersion is the first byte of relay.key; the 32 bytes of an Ed25519 seed
// follow, and nothing more.
const keyVersion = 1

// loadKey reads the relay's key, or makes it. Its error wraps ErrKey if what is
// there is not a key: a relay never changes its identity by itself.
func loadKey(path string) (crypto.PrivKey, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		b = append([]byte{keyVersion}, make([]byte, ed25519.SeedSize)...)
		rand.Read(b[1:]) // never fails, see crypto/rand
		err = writeFile(path, b)
	}
	if err != nil {
		return nil, fmt.Errorf("relay: key: %w", err)
	}
	k, err := parseKey(b)
	if err != nil {
		return nil, fmt.Errorf("relay.key: %w", err)
	}
	return k, nil
}

// parseKey reads what relay.key holds. Its error is ErrNewer or wraps ErrKey.
func parseKey(b []byte) (crypto.PrivKey, error) {
	if len(b) >= 1+ed25519.SeedSize && b[0] > keyVersion {
		return nil, ErrNewer
	}
	if len(b) != 1+ed25519.SeedSize || b[0] != keyVersion || bytes.Equal(b[1:], make([]byte, ed25519.SeedSize)) {
		return nil, ErrKey
	}
	k, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(b[1:]))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return k, nil
}

// signer signs receipts as its key does, byte for byte, in half of the standard library's time.
type signer voi.PrivateKey

func newSigner(key crypto.PrivKey) (signer, error) {
	raw, err := key.Raw()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return signer(raw), nil
}

func (s signer) Sign(text []byte) ([]byte, error) { return voi.Sign(voi.PrivateKey(s), text), nil }

// writeFile writes a new file so that after a crash it is there whole or not
// at all.
func writeFile(path string, b []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
