package vault

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	keyring "github.com/zalando/go-keyring"
)

const (
	// KeyFileName is the key file's name in a profile's directory.
	KeyFileName = "unlock.key"
	// KeyringService names Godwit's items in the system's keyring; the user
	// of an item is the account's id.
	KeyringService = "im.godwit"
	// KeyringLimit is how long the system's keyring may take to answer.
	KeyringLimit = 3 * time.Second
)

// maxKeys bounds the keys in one place: two while a vault's key changes, and
// those of other profiles of one account that share its item in the keyring.
const maxKeys = 8

// Keyring keeps short texts for this user of the system, as
// github.com/zalando/go-keyring does.
type Keyring interface {
	// Get gives the item's text. The error is ErrNoKey if there is no item.
	Get(service, user string) (string, error)
	// Set makes or replaces the item.
	Set(service, user, text string) error
	// Delete removes the item. It is no error if there is none.
	Delete(service, user string) error
}

// place is where keys that open vaults are kept, as version 1 ‖ keys. One
// item may hold several: the vault knows its own.
type place interface {
	read() ([]byte, error) // ErrNoKey if there is nothing
	write([]byte) error
	erase() error // no error if there is nothing
}

// readKeys gives a place's keys. Its errors are ErrNoKey, ErrDamaged,
// ErrNewer and those of the place.
func readKeys(p place) ([][keySize]byte, error) {
	data, err := p.read()
	if err != nil {
		return nil, err
	}
	return parseKeys(data)
}

func parseKeys(data []byte) ([][keySize]byte, error) {
	if len(data) > 0 && data[0] > 1 {
		return nil, fmt.Errorf("%w: its key", ErrNewer)
	}
	n := (len(data) - 1) / keySize
	if n < 1 || n > maxKeys || len(data) != 1+n*keySize || data[0] != 1 {
		return nil, fmt.Errorf("%w: its key", ErrDamaged)
	}
	keys := make([][keySize]byte, n)
	for i := range keys {
		copy(keys[i][:], data[1+i*keySize:])
	}
	return keys, nil
}

func marshalKeys(keys [][keySize]byte) []byte {
	data := []byte{1}
	for _, k := range keys {
		data = append(data, k[:]...)
	}
	return data
}

// addKey puts a key first; past maxKeys the oldest falls out.
func addKey(p place, key [keySize]byte) error {
	keys, err := readKeys(p)
	if err != nil && !errors.Is(err, ErrNoKey) && !errors.Is(err, ErrDamaged) {
		return err
	}
	keys = slices.Insert(keys, 0, key)
	return p.write(marshalKeys(keys[:min(len(keys), maxKeys)]))
}

// dropKey removes a key, and the item or file with the last one.
func dropKey(p place, key [keySize]byte) error {
	keys, err := readKeys(p)
	if errors.Is(err, ErrNoKey) {
		return nil
	}
	if err != nil {
		return err
	}
	rest := slices.DeleteFunc(slices.Clone(keys), func(k [keySize]byte) bool { return k == key })
	switch len(rest) {
	case len(keys):
		return nil
	case 0:
		return p.erase()
	}
	return p.write(marshalKeys(rest))
}

// keepOnly removes all other keys.
func keepOnly(p place, key [keySize]byte) error {
	keys, err := readKeys(p)
	if err != nil || len(keys) == 1 {
		return err
	}
	return p.write(marshalKeys([][keySize]byte{key}))
}

// keyFile is a file beside the vault that only its owner may read.
type keyFile struct{ dir string }

func (k keyFile) read() ([]byte, error) {
	data, err := readBounded(filepath.Join(k.dir, KeyFileName), 1+maxKeys*keySize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoKey
	}
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	return data, nil
}

func (k keyFile) write(data []byte) error {
	if err := replaceFile(k.dir, KeyFileName, data); err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	return nil
}

func (k keyFile) erase() error {
	err := os.Remove(filepath.Join(k.dir, KeyFileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncDir(k.dir)
	}
	if err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	return nil
}

// ringItem is an item of a keyring.
type ringItem struct {
	ring Keyring
	user string
}

func (r ringItem) read() ([]byte, error) {
	text, err := r.ring.Get(KeyringService, r.user)
	if err != nil {
		return nil, err
	}
	data, err := base64.RawStdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: its key", ErrDamaged)
	}
	return data, nil
}

func (r ringItem) write(data []byte) error {
	return r.ring.Set(KeyringService, r.user, base64.RawStdEncoding.EncodeToString(data))
}

func (r ringItem) erase() error { return r.ring.Delete(KeyringService, r.user) }

// systemKeyring is the system's: Secret Service, Keychain or Credential
// Manager. Every error but a missing item is ErrNoKeyring.
type systemKeyring struct{}

func (systemKeyring) Get(service, user string) (string, error) {
	return limited(func() (string, error) {
		text, err := keyring.Get(service, user)
		if errors.Is(err, keyring.ErrNotFound) {
			return "", ErrNoKey
		}
		return text, noKeyring(err)
	})
}

func (systemKeyring) Set(service, user, text string) error {
	_, err := limited(func() (string, error) { return "", noKeyring(keyring.Set(service, user, text)) })
	return err
}

func (systemKeyring) Delete(service, user string) error {
	_, err := limited(func() (string, error) {
		err := keyring.Delete(service, user)
		if errors.Is(err, keyring.ErrNotFound) {
			err = nil
		}
		return "", noKeyring(err)
	})
	return err
}

func noKeyring(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrNoKeyring, err)
}

// limited asks a keyring that may wait for a person to unlock it. It cannot be
// called back, so the one goroutine that asked may outlive this call; it ends
// when the keyring answers at last. A key that is stored so late opens nothing.
func limited(ask func() (string, error)) (string, error) {
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := ask()
		answers <- answer{text, err}
	}()
	limit := time.NewTimer(KeyringLimit)
	defer limit.Stop()
	select {
	case a := <-answers:
		return a.text, a.err
	case <-limit.C:
		return "", fmt.Errorf("%w within %v", ErrNoKeyring, KeyringLimit)
	}
}
