package vault

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/cryptobyte"

	"github.com/godwit-im/godwit/identity"
)

const (
	keySize     = chacha20poly1305.KeySize
	saltSize    = 16
	commitSize  = 32
	sumSize     = 16
	secretsSize = 1 + 1 + 4*32
	headerSize  = 1 + 1 + 32 + saltSize + 4 + 4 + 1 + commitSize + chacha20poly1305.NonceSizeX
	// fileSize is the length in bytes of every vault.key.
	fileSize = headerSize + secretsSize + chacha20poly1305.Overhead + sumSize
)

// errWrongKey says that a key is not the one that the file is sealed under.
var errWrongKey = errors.New("vault: another key")

// cost is what one guess of a passphrase takes (Argon2id, RFC 9106).
type cost struct {
	passes uint32
	memory uint32 // KiB
	lanes  uint8
}

// defaultCost is the second choice that RFC 9106, section 4, recommends.
func defaultCost() cost { return cost{passes: 3, memory: 64 << 10, lanes: 4} }

// bounded keeps a hostile file from asking for all memory or all day.
func (c cost) bounded() bool {
	return c.passes >= 1 && c.passes <= 10 && c.lanes >= 1 && c.lanes <= 16 &&
		c.memory >= 8*uint32(c.lanes) && c.memory <= 1<<20
}

// header is the part of the file that is not sealed, but authenticated.
type header struct {
	protection Protection
	account    identity.AccountID
	salt       [saltSize]byte
	cost       cost // zero except under a passphrase
	commit     [commitSize]byte
	nonce      [chacha20poly1305.NonceSizeX]byte
}

// file is a vault.key as it was read.
type file struct {
	header
	ad     []byte // the header's bytes
	sealed []byte
}

func (h *header) marshal() []byte {
	var b cryptobyte.Builder
	b.AddUint8(1)
	b.AddUint8(uint8(h.protection))
	b.AddBytes(h.account[:])
	b.AddBytes(h.salt[:])
	b.AddUint32(h.cost.passes)
	b.AddUint32(h.cost.memory)
	b.AddUint8(h.cost.lanes)
	b.AddBytes(h.commit[:])
	b.AddBytes(h.nonce[:])
	return b.BytesOrPanic()
}

// parseFile reads a vault.key. Its errors are ErrDamaged and ErrNewer.
func parseFile(data []byte) (*file, error) {
	if len(data) > 0 && data[0] > 1 {
		return nil, fmt.Errorf("%w: version %d", ErrNewer, data[0])
	}
	if len(data) != fileSize {
		return nil, fmt.Errorf("%w: %d bytes where %d are wanted", ErrDamaged, len(data), fileSize)
	}
	body, sum := data[:fileSize-sumSize], data[fileSize-sumSize:]
	if want := checksum(body); !bytes.Equal(sum, want[:]) {
		return nil, ErrDamaged
	}
	f := &file{ad: body[:headerSize], sealed: body[headerSize:]}
	s := cryptobyte.String(f.ad)
	var version, protection uint8
	if !s.ReadUint8(&version) || version != 1 || !s.ReadUint8(&protection) ||
		!s.CopyBytes(f.account[:]) || !s.CopyBytes(f.salt[:]) ||
		!s.ReadUint32(&f.cost.passes) || !s.ReadUint32(&f.cost.memory) || !s.ReadUint8(&f.cost.lanes) ||
		!s.CopyBytes(f.commit[:]) || !s.CopyBytes(f.nonce[:]) || !s.Empty() {
		return nil, ErrDamaged
	}
	f.protection = Protection(protection)
	switch f.protection {
	case ByPassphrase:
		if !f.cost.bounded() {
			return nil, fmt.Errorf("%w: an Argon2id cost out of bounds", ErrDamaged)
		}
	case ByKeyFile, ByKeyring:
		if f.cost != (cost{}) {
			return nil, ErrDamaged
		}
	default:
		return nil, ErrDamaged
	}
	return f, nil
}

// checksum tells a damaged file from a wrong passphrase. Anybody can make it:
// it protects from nothing but accidents.
func checksum(body []byte) [sumSize]byte {
	h := sha256.New()
	h.Write([]byte("godwit/1/vault-sum"))
	h.Write(body)
	return [sumSize]byte(h.Sum(nil))
}

// stretch is the key of a passphrase.
func (h *header) stretch(passphrase []byte) [keySize]byte {
	k := argon2.IDKey(passphrase, h.salt[:], h.cost.passes, h.cost.memory, h.cost.lanes, keySize)
	// Argon2id is the one time that the program needs so much memory.
	debug.FreeOSMemory()
	return [keySize]byte(k)
}

// keys are the key that seals and what commits the file to it: XChaCha20-Poly1305
// alone would let one file open under two keys.
func (h *header) keys(kek [keySize]byte) (seal, commit []byte) {
	okm, err := hkdf.Key(sha512.New, kek[:], h.salt[:], "godwit/1/vault", keySize+commitSize)
	if err != nil {
		panic("vault: HKDF gives 64 bytes: " + err.Error())
	}
	return okm[:keySize], okm[keySize:]
}

// seal makes the file's bytes, and gives the header in them.
func (h header) seal(kek [keySize]byte, s Secrets) ([]byte, header) {
	key, commit := h.keys(kek)
	copy(h.commit[:], commit)
	rand.Read(h.nonce[:])
	ad := h.marshal()
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		panic("vault: 32 bytes are a key: " + err.Error())
	}
	data := aead.Seal(bytes.Clone(ad), h.nonce[:], s.marshal(), ad)
	sum := checksum(data)
	return append(data, sum[:]...), h
}

// open gives the secrets. Its errors are errWrongKey and ErrDamaged.
func (f *file) open(kek [keySize]byte) (Secrets, error) {
	key, commit := f.keys(kek)
	if subtle.ConstantTimeCompare(commit, f.commit[:]) != 1 {
		return Secrets{}, errWrongKey
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		panic("vault: 32 bytes are a key: " + err.Error())
	}
	plain, err := aead.Open(nil, f.nonce[:], f.sealed, f.ad)
	if err != nil {
		return Secrets{}, ErrDamaged
	}
	return parseSecrets(plain)
}

// openWith tries the keys of a place.
func (f *file) openWith(p place) (Secrets, [keySize]byte, error) {
	keys, err := readKeys(p)
	if err != nil {
		return Secrets{}, [keySize]byte{}, err
	}
	for _, kek := range keys {
		s, err := f.open(kek)
		if !errors.Is(err, errWrongKey) {
			return s, kek, err
		}
	}
	return Secrets{}, [keySize]byte{}, ErrNoKey
}

// marshal is always of one length: that the words are gone does not show.
func (s Secrets) marshal() []byte {
	out := make([]byte, 2, secretsSize)
	out[0] = 1
	var entropy [32]byte
	if s.Entropy != nil {
		out[1] = 1
		entropy = *s.Entropy
	}
	for _, field := range [][32]byte{entropy, s.Device, s.Agreement, s.Database} {
		out = append(out, field[:]...)
	}
	return out
}

func parseSecrets(plain []byte) (Secrets, error) {
	var secrets Secrets
	var entropy [32]byte
	var version, has uint8
	s := cryptobyte.String(plain)
	if !s.ReadUint8(&version) || version != 1 || !s.ReadUint8(&has) || has > 1 ||
		!s.CopyBytes(entropy[:]) || !s.CopyBytes(secrets.Device[:]) ||
		!s.CopyBytes(secrets.Agreement[:]) || !s.CopyBytes(secrets.Database[:]) || !s.Empty() ||
		has == 0 && entropy != [32]byte{} {
		return Secrets{}, ErrDamaged
	}
	if has == 1 {
		secrets.Entropy = &entropy
	}
	return secrets, nil
}

func readFile(dir string) (*file, error) {
	data, err := readBounded(filepath.Join(dir, FileName), fileSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoVault
	}
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	return parseFile(data)
}

// readBounded reads a file, and one byte past size where it is longer.
func readBounded(name string, size int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, size+1))
}

// replaceFile makes a file hold data, mode 0600, or leaves it as it was.
func replaceFile(dir, name string, data []byte) error {
	path := filepath.Join(dir, name)
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	return syncDir(dir)
}

// restrict makes the files of a vault mode 0600 where they are not. Windows
// goes by the directory's access list.
func restrict(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	for _, name := range []string{FileName, KeyFileName} {
		path := filepath.Join(dir, name)
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			err = os.Chmod(path, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// syncDir makes a rename last. Windows has no such thing, and needs none.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
