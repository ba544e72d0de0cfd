// Package vault keeps an account's keys at rest: one small file, vault.key,
// sealed under a key that the system's keyring holds, or a file that only its
// owner may read, or that follows from a passphrase. identity/SPEC.md,
// "Vault", has its layout.
//
// It is the only disk access under identity. What is in a profile's directory
// belongs to one process at a time: the caller holds the profile's lock. A
// Vault is used by one goroutine at a time.
//
// A file is never changed, only replaced: written beside the old one, synced,
// renamed. The key that opens the new file is stored before it and the old
// key dropped after it, so that a crash at any point leaves a vault that opens.
package vault

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/text/unicode/norm"

	"github.com/godwit-im/godwit/identity"
)

// FileName is the vault's file in a profile's directory.
const FileName = "vault.key"

var (
	// ErrExists says that the directory already has a vault.
	ErrExists = errors.New("vault: there is one already")
	// ErrLocked says that the vault wants a passphrase and none was given.
	ErrLocked = errors.New("vault: locked with a passphrase")
	// ErrWrongPassphrase says that the passphrase is not the vault's.
	ErrWrongPassphrase = errors.New("vault: wrong passphrase")
	// ErrNoKey says that the key that opens the vault is not where it was
	// kept: the profile was copied without it, or the keyring was emptied.
	ErrNoKey = errors.New("vault: the key that opens it is missing")
	// ErrNoKeyring says that the system has no keyring, or one that did not
	// answer within KeyringLimit.
	ErrNoKeyring = errors.New("vault: no keyring answers")
	// ErrDamaged says that the file was cut, or that bits of it changed.
	ErrDamaged = errors.New("vault: damaged")
	// ErrNewer says that a newer version of the program made the file.
	ErrNewer = errors.New("vault: made by a newer version")
	// ErrEmptyPassphrase says that a passphrase is needed that is not empty.
	ErrEmptyPassphrase = errors.New("vault: a passphrase cannot be empty")
	// ErrNoVault says that the directory has none.
	ErrNoVault = errors.New("vault: there is none")
)

// Protection is how the key that opens a vault is kept.
type Protection byte

// Kinds of protection.
const (
	// ByKeyFile keeps it in a file beside the vault, mode 0600: file
	// permissions alone protect it.
	ByKeyFile Protection = 1
	// ByKeyring keeps it in the system's keyring.
	ByKeyring Protection = 2
	// ByPassphrase keeps it nowhere: it is Argon2id of a passphrase.
	ByPassphrase Protection = 3
)

// String names the protection in words for `status`.
func (p Protection) String() string {
	switch p {
	case ByKeyFile:
		return "key file"
	case ByKeyring:
		return "keyring"
	case ByPassphrase:
		return "passphrase"
	}
	return fmt.Sprintf("protection %d", byte(p))
}

// Secrets is what a vault holds.
type Secrets struct {
	// Entropy is what the recovery words spell; nil once they are written
	// down.
	Entropy   *[32]byte
	Device    [32]byte // seed of the device's signing key, DSK
	Agreement [32]byte // the device's agreement key, DIK
	Database  [32]byte // the key of the database
}

// Format implements fmt.Formatter. Secrets end up in no log.
func (Secrets) Format(f fmt.State, _ rune) { io.WriteString(f, "[secrets]") }

// NewSecrets makes the secrets of a device, with the account's entropy.
func NewSecrets(entropy [32]byte) Secrets {
	s := Secrets{
		Entropy:   &entropy,
		Device:    identity.GenerateDevice().Seed(),
		Agreement: identity.GenerateAgreement().Bytes(),
	}
	rand.Read(s.Database[:])
	return s
}

// Options are what opening and making a vault may need. The zero Options do
// for ByKeyFile, and for ByKeyring on the system's keyring.
type Options struct {
	Passphrase []byte  // for ByPassphrase; spelt in any Unicode normal form
	Keyring    Keyring // nil: the system's
}

// Vault is an open vault.
type Vault struct {
	dir     string
	ring    Keyring
	header  header
	kek     [keySize]byte // opens the file as it is now
	secrets Secrets
}

// Create makes the vault of an account in a directory, which it makes too. Its
// errors are ErrExists, ErrNoKeyring (after which ByKeyFile may do),
// ErrEmptyPassphrase, and those of the file system.
func Create(dir string, account identity.AccountID, how Protection, s Secrets, o Options) (*Vault, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, FileName)); err == nil {
		return nil, ErrExists
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("vault: %w", err)
	}
	v := &Vault{dir: dir, ring: o.keyring(), header: header{account: account}}
	if err := v.protect(how, o.Passphrase, s); err != nil {
		return nil, err
	}
	return v, nil
}

// Open opens the vault of a directory. Its errors are ErrNoVault, ErrLocked,
// ErrWrongPassphrase, ErrNoKey, ErrNoKeyring, ErrDamaged, ErrNewer, and those
// of the file system. Nothing is changed by a failure.
func Open(dir string, o Options) (*Vault, error) {
	f, err := readFile(dir)
	if err != nil {
		return nil, err
	}
	v := &Vault{dir: dir, ring: o.keyring(), header: f.header}
	if f.protection == ByPassphrase {
		if len(o.Passphrase) == 0 {
			return nil, ErrLocked
		}
		v.kek = f.stretch(normal(o.Passphrase))
		v.secrets, err = f.open(v.kek)
		if errors.Is(err, errWrongKey) {
			return nil, ErrWrongPassphrase
		}
	} else {
		v.secrets, v.kek, err = f.openWith(v.place(f.protection))
	}
	if err == nil {
		err = v.tidy()
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// Inspect tells how the vault of a directory is protected and whose it is,
// without opening it. Its errors are ErrNoVault, ErrDamaged, ErrNewer, and
// those of the file system.
func Inspect(dir string) (Protection, identity.AccountID, error) {
	f, err := readFile(dir)
	if err != nil {
		return 0, identity.AccountID{}, err
	}
	return f.protection, f.account, nil
}

// Secrets is what the vault holds.
func (v *Vault) Secrets() Secrets {
	s := v.secrets
	if s.Entropy != nil {
		e := *s.Entropy
		s.Entropy = &e
	}
	return s
}

// Format implements fmt.Formatter. An open vault prints no secret.
func (v *Vault) Format(f fmt.State, _ rune) { io.WriteString(f, "[vault]") }

// Account is whose vault it is.
func (v *Vault) Account() identity.AccountID { return v.header.account }

// Protection is how the key that opens the vault is kept.
func (v *Vault) Protection() Protection { return v.header.protection }

// ForgetEntropy drops what the recovery words spell, once the person has
// written them down. Except under a passphrase the file is sealed under a new
// key, so that an old copy of it on the disk opens no more.
func (v *Vault) ForgetEntropy() error {
	if v.secrets.Entropy == nil {
		return nil
	}
	s := v.secrets
	s.Entropy = nil
	if v.header.protection != ByPassphrase {
		return v.protect(v.header.protection, nil, s)
	}
	return v.seal(v.header, v.kek, s)
}

// SetPassphrase locks the vault with a passphrase, or changes it. The key that
// opened it before is dropped from where it was kept.
func (v *Vault) SetPassphrase(passphrase []byte) error {
	return v.protect(ByPassphrase, passphrase, v.secrets)
}

// RemovePassphrase goes over to a keyring or key file. Its error is
// ErrNoKeyring where the keyring does not answer.
func (v *Vault) RemovePassphrase(to Protection) error {
	if to == ByPassphrase {
		return errors.New("vault: removing a passphrase needs another protection")
	}
	return v.protect(to, nil, v.secrets)
}

// protect seals the secrets under a new key, kept as said.
func (v *Vault) protect(how Protection, passphrase []byte, s Secrets) error {
	before := v.header.protection // 0 in a vault that is being made
	old := v.kek

	h := header{protection: how, account: v.header.account}
	rand.Read(h.salt[:])
	var kek [keySize]byte
	switch how {
	case ByPassphrase:
		if len(passphrase) == 0 {
			return ErrEmptyPassphrase
		}
		h.cost = defaultCost()
		kek = h.stretch(normal(passphrase))
	case ByKeyFile, ByKeyring:
		rand.Read(kek[:])
		if err := addKey(v.place(how), kek); err != nil {
			return err
		}
	default:
		return fmt.Errorf("vault: no such thing as %v", how)
	}
	if err := v.seal(h, kek, s); err != nil {
		if how != ByPassphrase {
			// The old file still holds; without this the new key would
			// only lie about.
			err = errors.Join(err, dropKey(v.place(how), kek))
		}
		return err
	}
	if before == ByKeyFile || before == ByKeyring {
		if err := dropKey(v.place(before), old); err != nil {
			return fmt.Errorf("vault: the new key holds, but the old one stays in the %v: %w", before, err)
		}
	}
	return nil
}

// seal writes the file, and takes over what it wrote.
func (v *Vault) seal(h header, kek [keySize]byte, s Secrets) error {
	data, h := h.seal(kek, s)
	if err := replaceFile(v.dir, FileName, data); err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	v.header, v.kek, v.secrets = h, kek, s
	return nil
}

// tidy removes what a crash in the middle of protect may have left, keys in
// the key file that open nothing, and takes from others the right to read what
// a copy may have given them. The keyring is left alone: another profile of
// the account may keep its key there.
func (v *Vault) tidy() error {
	if err := restrict(v.dir); err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	file := keyFile{v.dir}
	if v.header.protection == ByKeyFile {
		return keepOnly(file, v.kek)
	}
	return file.erase()
}

func (v *Vault) place(how Protection) place {
	if how == ByKeyring {
		return ringItem{v.ring, v.header.account.String()}
	}
	return keyFile{v.dir}
}

func (o Options) keyring() Keyring {
	if o.Keyring == nil {
		return systemKeyring{}
	}
	return o.Keyring
}

// normal is one spelling for what looks the same: systems' keyboards differ in
// how they compose accents (Unicode normal form C, as RFC 8265 has it).
func normal(passphrase []byte) []byte { return norm.NFC.Bytes(passphrase) }
