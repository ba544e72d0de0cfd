package vault

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/identity"
)

var update = flag.Bool("update", false, "write the frozen vectors anew")

// ring is a keyring in memory; broken, it answers nothing.
type ring struct {
	items  map[string]string
	broken bool
}

func newRing() *ring { return &ring{items: map[string]string{}} }

func (r *ring) Get(service, user string) (string, error) {
	if r.broken {
		return "", ErrNoKeyring
	}
	text, ok := r.items[service+"/"+user]
	if !ok {
		return "", ErrNoKey
	}
	return text, nil
}

func (r *ring) Set(service, user, text string) error {
	if r.broken {
		return ErrNoKeyring
	}
	r.items[service+"/"+user] = text
	return nil
}

func (r *ring) Delete(service, user string) error {
	if r.broken {
		return ErrNoKeyring
	}
	delete(r.items, service+"/"+user)
	return nil
}

func someSecrets() (identity.AccountID, Secrets) {
	entropy := identity.NewEntropy()
	return identity.RootFromEntropy(entropy).Public().Account(), NewSecrets(entropy)
}

// same fails unless the vault holds these secrets.
func same(t *testing.T, v *Vault, want Secrets) {
	t.Helper()
	got := v.Secrets()
	if (got.Entropy == nil) != (want.Entropy == nil) || got.Entropy != nil && *got.Entropy != *want.Entropy {
		t.Error("another entropy")
	}
	got.Entropy, want.Entropy = nil, nil
	if got != want {
		t.Error("other secrets")
	}
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// files lists what is in a directory.
func files(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// Alice's vault through its life: a key file, the words written down, a
// passphrase, another one, the keyring, and back.
func TestAlicesVault(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "profile")
	r := newRing()
	account, secrets := someSecrets()
	v, err := Create(dir, account, ByKeyFile, secrets, Options{Keyring: r})
	if err != nil {
		t.Fatal(err)
	}
	if v.Protection() != ByKeyFile || v.Account() != account || files(t, dir) != KeyFileName+" "+FileName {
		t.Errorf("made with %v: %s", v.Protection(), files(t, dir))
	}
	if _, err := Create(dir, account, ByKeyFile, secrets, Options{Keyring: r}); !errors.Is(err, ErrExists) {
		t.Errorf("made twice: %v", err)
	}
	v, err = Open(dir, Options{Keyring: r})
	if err != nil {
		t.Fatal(err)
	}
	same(t, v, secrets)

	// She has written the words down. An old copy of the file opens no more.
	old := read(t, dir, FileName)
	if err := v.ForgetEntropy(); err != nil {
		t.Fatal(err)
	}
	secrets.Entropy = nil
	same(t, v, secrets)
	now := read(t, dir, FileName)
	write(t, dir, FileName, old)
	if _, err := Open(dir, Options{Keyring: r}); !errors.Is(err, ErrNoKey) {
		t.Errorf("the file with the words, put back: %v", err)
	}
	write(t, dir, FileName, now)

	if err := v.SetPassphrase(nil); !errors.Is(err, ErrEmptyPassphrase) {
		t.Errorf("an empty passphrase: %v", err)
	}
	if err := v.SetPassphrase([]byte("Gr\u00fcne Pfeife")); err != nil {
		t.Fatal(err)
	}
	if v.Protection() != ByPassphrase || files(t, dir) != FileName {
		t.Errorf("with %v: %s", v.Protection(), files(t, dir))
	}
	before := read(t, dir, FileName)
	if _, err := Open(dir, Options{Keyring: r}); !errors.Is(err, ErrLocked) {
		t.Errorf("without a passphrase: %v", err)
	}
	if _, err := Open(dir, Options{Passphrase: []byte("grüne Pfeife"), Keyring: r}); !errors.Is(err, ErrWrongPassphrase) {
		t.Errorf("with a wrong one: %v", err)
	}
	if how, who, err := Inspect(dir); err != nil || how != ByPassphrase || who != account {
		t.Errorf("looked at from outside: %v, %v, %v", how, who, err)
	}
	if !bytes.Equal(before, read(t, dir, FileName)) || files(t, dir) != FileName {
		t.Error("a wrong passphrase touched something")
	}
	// On her other keyboard the umlaut is two characters.
	if v, err = Open(dir, Options{Passphrase: []byte("Gru\u0308ne Pfeife"), Keyring: r}); err != nil {
		t.Fatal(err)
	}
	same(t, v, secrets)
	if err := v.ForgetEntropy(); err != nil || !bytes.Equal(before, read(t, dir, FileName)) {
		t.Errorf("forgetting what is forgotten: %v", err)
	}

	if err := v.SetPassphrase([]byte("another")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{Passphrase: []byte("Gr\u00fcne Pfeife"), Keyring: r}); !errors.Is(err, ErrWrongPassphrase) {
		t.Errorf("with the one before: %v", err)
	}

	if err := v.RemovePassphrase(ByPassphrase); err == nil {
		t.Error("a passphrase is removed for a passphrase")
	}
	if err := v.RemovePassphrase(ByKeyring); err != nil {
		t.Fatal(err)
	}
	if len(r.items) != 1 || r.items["im.godwit/"+account.String()] == "" || files(t, dir) != FileName {
		t.Errorf("in the keyring: %v; in the directory: %s", r.items, files(t, dir))
	}
	if v, err = Open(dir, Options{Keyring: r}); err != nil {
		t.Fatal(err)
	}
	same(t, v, secrets)
	if err := v.RemovePassphrase(ByKeyFile); err != nil {
		t.Fatal(err)
	}
	if len(r.items) != 0 {
		t.Errorf("left in the keyring: %v", r.items)
	}
	if v, err = Open(dir, Options{}); err != nil || v.Protection() != ByKeyFile {
		t.Fatal(err)
	}
	same(t, v, secrets)
}

func TestForgetEntropyUnderAPassphrase(t *testing.T) {
	dir := t.TempDir()
	account, secrets := someSecrets()
	v, err := Create(dir, account, ByPassphrase, secrets, Options{Passphrase: []byte("p")})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.ForgetEntropy(); err != nil {
		t.Fatal(err)
	}
	v, err = Open(dir, Options{Passphrase: []byte("p")})
	if err != nil {
		t.Fatal(err)
	}
	secrets.Entropy = nil
	same(t, v, secrets)
}

// The caller's copy of the secrets is its own.
func TestSecretsAreACopy(t *testing.T) {
	account, secrets := someSecrets()
	v, err := Create(t.TempDir(), account, ByKeyFile, secrets, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := *secrets.Entropy
	*v.Secrets().Entropy = [32]byte{}
	if *v.Secrets().Entropy != want {
		t.Error("a copy of the secrets changes the vault")
	}
}

// Mallory copies Alice's profile. Without the key it does not open.
func TestACopiedProfile(t *testing.T) {
	account, secrets := someSecrets()
	for _, how := range []Protection{ByKeyFile, ByKeyring, ByPassphrase} {
		dir, copied := t.TempDir(), t.TempDir()
		if _, err := Create(dir, account, how, secrets, Options{Keyring: newRing(), Passphrase: []byte("p")}); err != nil {
			t.Fatal(err)
		}
		data := read(t, dir, FileName)
		write(t, copied, FileName, data)
		want := ErrNoKey
		if how == ByPassphrase {
			want = ErrLocked
		}
		if _, err := Open(copied, Options{Keyring: newRing()}); !errors.Is(err, want) {
			t.Errorf("%v: %v, want %v", how, err, want)
		}
		for _, secret := range [][]byte{secrets.Entropy[:], secrets.Device[:], secrets.Agreement[:], secrets.Database[:]} {
			if bytes.Contains(data, secret[:16]) {
				t.Errorf("%v: a secret in the clear", how)
			}
		}
	}
	// Another vault's key file does not do either.
	dir, other := t.TempDir(), t.TempDir()
	for _, d := range []string{dir, other} {
		if _, err := Create(d, account, ByKeyFile, secrets, Options{}); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, KeyFileName, read(t, other, KeyFileName))
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrNoKey) {
		t.Errorf("with another's key file: %v", err)
	}
}

// Two profiles of one account on one computer share an item in the keyring,
// and neither takes the other's key away.
func TestTwoProfilesOneAccount(t *testing.T) {
	r := newRing()
	account, secrets := someSecrets()
	one, two := t.TempDir(), t.TempDir()
	for _, dir := range []string{one, two} {
		if _, err := Create(dir, account, ByKeyring, secrets, Options{Keyring: r}); err != nil {
			t.Fatal(err)
		}
	}
	v, err := Open(one, Options{Keyring: r})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 * maxKeys {
		if err := v.protect(ByKeyring, nil, secrets); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.SetPassphrase([]byte("p")); err != nil {
		t.Fatal(err)
	}
	if v, err = Open(two, Options{Keyring: r}); err != nil {
		t.Fatal(err)
	}
	same(t, v, secrets)
}

func TestAKeyringThatDoesNotAnswer(t *testing.T) {
	r := &ring{items: map[string]string{}, broken: true}
	dir := t.TempDir()
	account, secrets := someSecrets()
	if _, err := Create(dir, account, ByKeyring, secrets, Options{Keyring: r}); !errors.Is(err, ErrNoKeyring) {
		t.Fatalf("made: %v", err)
	}
	if files(t, dir) != "" {
		t.Errorf("left behind: %s", files(t, dir))
	}
	// The caller falls back on a key file, as `status` will say.
	v, err := Create(dir, account, ByKeyFile, secrets, Options{Keyring: r})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.RemovePassphrase(ByKeyring); !errors.Is(err, ErrNoKeyring) || v.Protection() != ByKeyFile {
		t.Errorf("moved: %v, %v", err, v.Protection())
	}
	if v, err = Open(dir, Options{Keyring: r}); err != nil {
		t.Fatal(err)
	}
	same(t, v, secrets)

	// A keyring that goes away later locks the person out, and says why.
	r.broken = false
	if err := v.RemovePassphrase(ByKeyring); err != nil {
		t.Fatal(err)
	}
	r.broken = true
	if _, err := Open(dir, Options{Keyring: r}); !errors.Is(err, ErrNoKeyring) {
		t.Errorf("opened: %v", err)
	}
	// A passphrase is set though the old key cannot be taken out of it; that is said.
	r.broken = false
	if v, err = Open(dir, Options{Keyring: r}); err != nil {
		t.Fatal(err)
	}
	r.broken = true
	if err := v.SetPassphrase([]byte("p")); !errors.Is(err, ErrNoKeyring) || v.Protection() != ByPassphrase {
		t.Errorf("a passphrase over a broken keyring: %v, %v", err, v.Protection())
	}
	if _, err := Open(dir, Options{Keyring: r, Passphrase: []byte("p")}); err != nil {
		t.Error(err)
	}
}

func TestAKeyringThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer, start := make(chan struct{}), time.Now()
		_, err := limited(func() (string, error) { <-answer; return "late", nil })
		if !errors.Is(err, ErrNoKeyring) || time.Since(start) != KeyringLimit {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		close(answer)
		if text, err := limited(func() (string, error) { return "soon", nil }); text != "soon" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
	})
}

// A crash between any two steps of a change leaves a vault that opens.
func TestCrashBetweenKeyAndFile(t *testing.T) {
	account, secrets := someSecrets()
	r := newRing()
	for _, from := range []Protection{ByKeyFile, ByKeyring, ByPassphrase} {
		for _, to := range []Protection{ByKeyFile, ByKeyring, ByPassphrase} {
			dir := t.TempDir()
			o := Options{Keyring: r, Passphrase: []byte("p")}
			v, err := Create(dir, account, from, secrets, o)
			if err != nil {
				t.Fatal(err)
			}
			oldFile := read(t, dir, FileName)
			oldKey, _ := os.ReadFile(filepath.Join(dir, KeyFileName))
			oldItem := r.items["im.godwit/"+account.String()]
			if err := v.protect(to, []byte("p"), secrets); err != nil {
				t.Fatal(err)
			}
			newFile := read(t, dir, FileName)
			newKey, _ := os.ReadFile(filepath.Join(dir, KeyFileName))
			newItem := r.items["im.godwit/"+account.String()]

			// The new key is stored, the old one still there, and the file
			// is the old one, or already the new one.
			both := func(a, b []byte) []byte {
				if len(a) == 0 || len(b) == 0 {
					return append(bytes.Clone(a), b...)
				}
				return append(bytes.Clone(a), b[1:]...)
			}
			for what, file := range map[string][]byte{"before": oldFile, "after": newFile} {
				write(t, dir, FileName, file)
				write(t, dir, FileName+".new", newFile[:40]) // a write that was cut
				if k := both(newKey, oldKey); len(k) > 0 {
					write(t, dir, KeyFileName, k)
				}
				decode := func(s string) []byte { b, _ := base64.RawStdEncoding.DecodeString(s); return b }
				if k := both(decode(newItem), decode(oldItem)); len(k) > 0 {
					r.items["im.godwit/"+account.String()] = base64.RawStdEncoding.EncodeToString(k)
				}
				v, err := Open(dir, o)
				if err != nil {
					t.Errorf("from %v to %v, a crash %s the file: %v", from, to, what, err)
					continue
				}
				same(t, v, secrets)
				keys, err := readKeys(keyFile{dir})
				if v.Protection() == ByKeyFile {
					if err != nil || len(keys) != 1 {
						t.Errorf("from %v to %v: %d keys stay in the key file, %v", from, to, len(keys), err)
					}
				} else if !errors.Is(err, ErrNoKey) {
					t.Errorf("from %v to %v: a key file stays: %v", from, to, err)
				}
				if err := v.seal(v.header, v.kek, secrets); err != nil || strings.Contains(files(t, dir), ".new") {
					t.Errorf("left behind: %s, %v", files(t, dir), err)
				}
			}
			delete(r.items, "im.godwit/"+account.String())
		}
	}
}

// The disk takes nothing: nothing is lost.
func TestADiskThatDoesNotTake(t *testing.T) {
	dir := t.TempDir()
	account, secrets := someSecrets()
	v, err := Create(dir, account, ByKeyFile, secrets, Options{})
	if err != nil {
		t.Fatal(err)
	}
	// A directory in the way of the temporary file does not go away by
	// being removed, since it is not empty: writing fails, even for root.
	block := filepath.Join(dir, FileName+".new")
	if err := os.MkdirAll(filepath.Join(block, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := v.SetPassphrase([]byte("p")); err == nil {
		t.Error("a passphrase is set where nothing can be written")
	}
	if err := v.ForgetEntropy(); err == nil {
		t.Error("the words are forgotten where nothing can be written")
	}
	if v.Protection() != ByKeyFile {
		t.Errorf("now by %v", v.Protection())
	}
	same(t, v, secrets)
	if v, err = Open(dir, Options{}); err != nil {
		t.Fatal(err)
	}
	same(t, v, secrets)
	if keys, err := readKeys(keyFile{dir}); err != nil || len(keys) != 1 {
		t.Errorf("%d keys in the key file, %v", len(keys), err)
	}
}

func TestPermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: Windows goes by access lists")
	}
	dir := filepath.Join(t.TempDir(), "a", "profile")
	account, secrets := someSecrets()
	if _, err := Create(dir, account, ByKeyFile, secrets, Options{}); err != nil {
		t.Fatal(err)
	}
	mode := func(path string) os.FileMode {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	names := []string{filepath.Join(dir, FileName), filepath.Join(dir, KeyFileName)}
	if mode(dir) != 0o700 || mode(names[0]) != 0o600 || mode(names[1]) != 0o600 {
		t.Errorf("modes %v, %v, %v", mode(dir), mode(names[0]), mode(names[1]))
	}
	for _, name := range names {
		if err := os.Chmod(name, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(dir, Options{}); err != nil {
		t.Fatal(err)
	}
	if mode(names[0]) != 0o600 || mode(names[1]) != 0o600 {
		t.Errorf("after others could read them: %v, %v", mode(names[0]), mode(names[1]))
	}
}

// Damage is told from a wrong passphrase, and from a newer version.
func TestDamagedFiles(t *testing.T) {
	account, secrets := someSecrets()
	dir := t.TempDir()
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrNoVault) {
		t.Errorf("an empty directory: %v", err)
	}
	if _, err := Create(dir, account, ByPassphrase, secrets, Options{Passphrase: []byte("p")}); err != nil {
		t.Fatal(err)
	}
	data := read(t, dir, FileName)
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1 << (i % 8)
		write(t, dir, FileName, bad)
		if _, err := Open(dir, Options{Passphrase: []byte("p")}); !errors.Is(err, ErrDamaged) && !(i == 0 && errors.Is(err, ErrNewer)) {
			t.Fatalf("a bit of byte %d: %v", i, err)
		}
	}
	for n := range data {
		if _, err := parseFile(data[:n]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut at byte %d: %v", n, err)
		}
	}
	write(t, dir, FileName, append(bytes.Clone(data), make([]byte, 1<<20)...))
	if _, err := Open(dir, Options{Passphrase: []byte("p")}); !errors.Is(err, ErrDamaged) {
		t.Errorf("a megabyte behind it: %v", err)
	}
	write(t, dir, FileName, append([]byte{2}, data...))
	if _, err := Open(dir, Options{Passphrase: []byte("p")}); !errors.Is(err, ErrNewer) {
		t.Errorf("version 2: %v", err)
	}
}

// resum makes a changed file's checksum fit, as a hostile one's would.
func resum(data []byte) []byte {
	body := data[:fileSize-sumSize]
	sum := checksum(body)
	return append(bytes.Clone(body), sum[:]...)
}

// A hostile file cannot ask for a terabyte, for a century, or to be opened
// after its sealed part changed.
func TestHostileFiles(t *testing.T) {
	account, secrets := someSecrets()
	dir := t.TempDir()
	if _, err := Create(dir, account, ByPassphrase, secrets, Options{Passphrase: []byte("p")}); err != nil {
		t.Fatal(err)
	}
	data := read(t, dir, FileName)
	const costAt = 1 + 1 + 32 + saltSize
	for what, change := range map[string]func([]byte){
		"4 TiB":               func(b []byte) { binary.BigEndian.PutUint32(b[costAt+4:], 1<<32-1) },
		"2 GiB":               func(b []byte) { binary.BigEndian.PutUint32(b[costAt+4:], 2<<20) },
		"no memory":           func(b []byte) { binary.BigEndian.PutUint32(b[costAt+4:], 0) },
		"four billion passes": func(b []byte) { binary.BigEndian.PutUint32(b[costAt:], 1<<32-1) },
		"no passes":           func(b []byte) { binary.BigEndian.PutUint32(b[costAt:], 0) },
		"255 lanes":           func(b []byte) { b[costAt+8] = 255 },
		"no lanes":            func(b []byte) { b[costAt+8] = 0 },
		"no protection":       func(b []byte) { b[1] = 0 },
		"unknown protection":  func(b []byte) { b[1] = 4 },
		"a cost for a key":    func(b []byte) { b[1] = byte(ByKeyFile) },
	} {
		bad := bytes.Clone(data)
		change(bad)
		if _, err := parseFile(resum(bad)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}

	kf := t.TempDir()
	if _, err := Create(kf, account, ByKeyFile, secrets, Options{}); err != nil {
		t.Fatal(err)
	}
	data = read(t, kf, FileName)
	for i := 2; i < len(data)-sumSize; i++ {
		if i >= costAt && i < costAt+9 {
			continue // refused above
		}
		bad := bytes.Clone(data)
		bad[i] ^= 1
		write(t, kf, FileName, resum(bad))
		if _, err := Open(kf, Options{}); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNoKey) {
			t.Fatalf("byte %d changed by somebody who can count: %v", i, err)
		}
	}
	// Sealed under the right key, but not secrets.
	for _, plain := range [][]byte{nil, make([]byte, secretsSize), append([]byte{1, 0}, bytes.Repeat([]byte{1}, 128)...), append([]byte{1, 2}, make([]byte, 128)...)} {
		if _, err := parseSecrets(plain); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d bytes that are not secrets: %v", len(plain), err)
		}
	}
}

func TestDamagedKeys(t *testing.T) {
	account, secrets := someSecrets()
	dir, r := t.TempDir(), newRing()
	if _, err := Create(dir, account, ByKeyFile, secrets, Options{}); err != nil {
		t.Fatal(err)
	}
	good := read(t, dir, KeyFileName)
	for what, c := range map[string]struct {
		data []byte
		want error
	}{
		"empty":     {nil, ErrDamaged},
		"no key":    {[]byte{1}, ErrDamaged},
		"cut":       {good[:20], ErrDamaged},
		"a byte on": {append(bytes.Clone(good), 0), ErrDamaged},
		"too many":  {append([]byte{1}, make([]byte, (maxKeys+1)*keySize)...), ErrDamaged},
		"version 0": {append([]byte{0}, good[1:]...), ErrDamaged},
		"version 2": {append([]byte{2}, good[1:]...), ErrNewer},
		"another":   {append([]byte{1}, make([]byte, keySize)...), ErrNoKey},
		"a million": {append([]byte{1}, make([]byte, 1<<20)...), ErrDamaged},
	} {
		write(t, dir, KeyFileName, c.data)
		if _, err := Open(dir, Options{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
	if _, err := Create(t.TempDir(), account, ByKeyring, secrets, Options{Keyring: r}); err != nil {
		t.Fatal(err)
	}
	for user := range r.items {
		r.items[user] = "not base64!"
	}
	ringDir := t.TempDir()
	if _, err := Create(ringDir, account, ByKeyring, secrets, Options{Keyring: r}); err != nil {
		t.Errorf("a damaged item is in the way: %v", err)
	}
	if v, err := Open(ringDir, Options{Keyring: r}); err != nil {
		t.Error(err)
	} else {
		same(t, v, secrets)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	secrets := Secrets{Entropy: &[32]byte{0xab, 0xcd}, Device: [32]byte{0xab, 0xcd}, Database: [32]byte{0xab, 0xcd}}
	v := &Vault{secrets: secrets, kek: [32]byte{0xab, 0xcd}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%d"} {
		for _, secret := range []any{secrets, &secrets, v} {
			out := strings.ToLower(fmt.Sprintf(verb, secret))
			if strings.Contains(out, "abcd") || strings.Contains(out, "171 205") || strings.Contains(out, "0xab") {
				t.Errorf("%T prints with %s: %s", secret, verb, out)
			}
		}
	}
	for _, p := range []Protection{ByKeyFile, ByKeyring, ByPassphrase, 9} {
		if p.String() == "" {
			t.Errorf("%d has no name", p)
		}
	}
}

// One vault of each protection, frozen: they open for ever.
func TestFrozenVaults(t *testing.T) {
	type one struct{ File, Key []byte }
	type frozen struct {
		Passphrase                           string
		Entropy, Device, Agreement, Database []byte
		Vaults                               map[string]one
	}
	path := filepath.Join("testdata", "vaults.json")
	const passphrase = "correct horse battery staple"
	var made []byte
	t.Run("made", func(t *testing.T) {
		cryptotest.SetGlobalRandom(t, 2)
		account, s := someSecrets()
		f := frozen{passphrase, s.Entropy[:], s.Device[:], s.Agreement[:], s.Database[:], map[string]one{}}
		for _, how := range []Protection{ByKeyFile, ByKeyring, ByPassphrase} {
			dir, r := t.TempDir(), newRing()
			v, err := Create(dir, account, how, s, Options{Keyring: r, Passphrase: []byte(passphrase)})
			if err != nil {
				t.Fatal(err)
			}
			var key []byte
			if how != ByPassphrase {
				if key, err = v.place(how).read(); err != nil {
					t.Fatal(err)
				}
			}
			f.Vaults[how.String()] = one{read(t, dir, FileName), key}
		}
		var err error
		if made, err = json.MarshalIndent(f, "", "  "); err != nil {
			t.Fatal(err)
		}
	})
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(made, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept, append(made, '\n')) {
		t.Error("the vault's encoding has changed. What is frozen opens for ever: give the new one a version of its own")
	}
	var f frozen
	if err := json.Unmarshal(kept, &f); err != nil {
		t.Fatal(err)
	}
	want := Secrets{Entropy: (*[32]byte)(f.Entropy), Device: [32]byte(f.Device), Agreement: [32]byte(f.Agreement), Database: [32]byte(f.Database)}
	if len(f.Vaults) != 3 {
		t.Errorf("%d vaults", len(f.Vaults))
	}
	for how, one := range f.Vaults {
		dir, r := t.TempDir(), newRing()
		write(t, dir, FileName, one.File)
		_, account, err := Inspect(dir)
		if err != nil {
			t.Fatal(err)
		}
		switch how {
		case ByKeyFile.String():
			write(t, dir, KeyFileName, one.Key)
		case ByKeyring.String():
			r.items["im.godwit/"+account.String()] = base64.RawStdEncoding.EncodeToString(one.Key)
		}
		v, err := Open(dir, Options{Keyring: r, Passphrase: []byte(f.Passphrase)})
		if err != nil {
			t.Errorf("%s: %v", how, err)
			continue
		}
		same(t, v, want)
	}
}

func FuzzParseFile(f *testing.F) {
	account, secrets := someSecrets()
	for _, how := range []Protection{ByKeyFile, ByPassphrase} {
		h := header{protection: how, account: account}
		if how == ByPassphrase {
			h.cost = defaultCost()
		}
		data, _ := h.seal([32]byte{1}, secrets)
		f.Add(data)
		f.Add(data[:100])
	}
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == fileSize {
			data = resum(data) // past the checksum, where it is interesting
		}
		parsed, err := parseFile(data)
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(parsed.header.marshal(), data[:headerSize]) {
			t.Fatal("two spellings of one header")
		}
		if _, err := parsed.open([32]byte{2}); !errors.Is(err, errWrongKey) {
			t.Fatalf("opened with a wrong key: %v", err)
		}
		if _, err := parsed.open([32]byte{1}); err != nil && !errors.Is(err, errWrongKey) && !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
	})
}

func FuzzParseSecrets(f *testing.F) {
	_, secrets := someSecrets()
	f.Add(secrets.marshal())
	secrets.Entropy = nil
	f.Add(secrets.marshal())
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseSecrets(data)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
		} else if !bytes.Equal(s.marshal(), data) {
			t.Fatal("two spellings of the same secrets")
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	f.Add(marshalKeys([][keySize]byte{{1}}))
	f.Add(marshalKeys([][keySize]byte{{1}, {2}, {3}}))
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := parseKeys(data)
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) {
				t.Fatal(err)
			}
		} else if !bytes.Equal(marshalKeys(keys), data) {
			t.Fatal("two spellings of the same keys")
		}
	})
}
