package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.uber.org/goleak"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/chat"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/identity/vault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// profile is the configuration of a fresh profile on loopback.
func profile(t *testing.T) config.Config {
	t.Helper()
	env := map[string]string{"GODWIT_NETWORK": "loopback"}
	cfg, _, err := config.Load(config.Sources{Getenv: func(k string) string { return env[k] }, Profile: filepath.Join(t.TempDir(), "profile")})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// account makes an account in a fresh profile.
func account(t *testing.T) config.Config {
	t.Helper()
	cfg := profile(t)
	if _, err := Create(t.Context(), cfg, api.InitRequest{Name: "Alice"}); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// open opens an account until the test ends, or closed is called.
func open(t *testing.T, cfg config.Config) (a *App, closed func()) {
	t.Helper()
	a, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	closed = sync.OnceFunc(func() {
		if err := a.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	t.Cleanup(closed)
	return a, closed
}

// run opens an account and has it work until the test ends, or stop is called.
func run(t *testing.T, cfg config.Config) (a *App, stop func()) {
	t.Helper()
	a, closed := open(t, cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(func() {
		stop()
		closed()
	})
	return a, stop
}

// wants checks for a problem.
func wants(t *testing.T, what string, err error, want problem.Code) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
}

// files are the hashes of everything in a profile, by name.
func files(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	sums := make(map[string][32]byte)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		sums[path] = sha256.Sum256(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

// An account is made once, is found again, and nobody else can read its files.
func TestCreateAndOpen(t *testing.T) {
	cfg := profile(t)
	_, err := Open(t.Context(), cfg)
	wants(t, "an empty profile", err, problem.NoAccount)
	_, err = Create(t.Context(), cfg, api.InitRequest{Name: "Alice\u202e"})
	wants(t, "a name that turns round", err, problem.BadName)
	made, err := Create(t.Context(), cfg, api.InitRequest{Name: "Alice"})
	if err != nil {
		t.Fatal(err)
	}
	before := files(t, cfg.Dirs.Data)
	_, err = Create(t.Context(), cfg, api.InitRequest{Name: "Mallory"})
	wants(t, "a second account", err, problem.AccountExists)
	_, err = Recover(t.Context(), cfg, api.RecoverRequest{Words: strings.Join(identity.Phrase(identity.NewEntropy()), " ")})
	wants(t, "recovering over an account", err, problem.AccountExists)
	if !maps.Equal(before, files(t, cfg.Dirs.Data)) {
		t.Error("what was refused changed the profile")
	}
	if runtime.GOOS != "windows" {
		err := filepath.WalkDir(cfg.Dirs.Profile, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has the mode %v", path, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	a, _ := open(t, cfg)
	s, err := a.Status(t.Context(), api.StatusRequest{})
	if err != nil || s.Account != made.Account || s.Device != made.Device || s.Name != "Alice" || s.Network != "loopback" || len(s.Addrs) == 0 {
		t.Errorf("status: %+v, %v; made %+v", s, err, made)
	}
	if s.Protection.Kind != "file" || s.PID != os.Getpid() {
		t.Errorf("protection %+v, pid %d", s.Protection, s.PID)
	}
}

// A node makes its account where it is told to.
func TestOpenMakesTheAccount(t *testing.T) {
	cfg := profile(t)
	cfg.Create = true
	a, closed := open(t, cfg)
	s, err := a.Status(t.Context(), api.StatusRequest{})
	if err != nil || s.Account == "" {
		t.Fatalf("%+v, %v", s, err)
	}
	closed()
	cfg.Create = false
	b, _ := open(t, cfg)
	if again, err := b.Status(t.Context(), api.StatusRequest{}); err != nil || again.Account != s.Account || again.Peer == s.Peer {
		t.Errorf("opened again: %+v, %v", again, err)
	}
}

// The words make the same account on another device, and only the right ones do.
func TestRecover(t *testing.T) {
	cfg := account(t)
	a, _ := open(t, cfg)
	phrase, err := a.Phrase(t.Context(), api.PhraseRequest{})
	if err != nil || len(phrase.Words) != 24 {
		t.Fatalf("%d words, %v", len(phrase.Words), err)
	}
	disorder, good := phrase.Words, error(nil)
	for good == nil { // one order in 256 has a good checksum
		disorder = slices.Concat(disorder[1:], disorder[:1])
		_, good = identity.ParsePhrase(strings.Join(disorder, " "))
	}
	for what, words := range map[string]string{
		"none":          "",
		"too few":       strings.Join(phrase.Words[:23], " "),
		"not a word":    strings.Join(slices.Concat(phrase.Words[:23], []string{"godwit"}), " "),
		"out of order":  strings.Join(disorder, " "),
		"not the words": strings.Repeat("abandon ", 24),
	} {
		other := profile(t)
		_, err := Recover(t.Context(), other, api.RecoverRequest{Words: words})
		wants(t, what, err, problem.WrongWords)
		if _, err := os.Stat(filepath.Join(other.Dirs.Data, DatabaseName)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: something was made (%v)", what, err)
		}
	}
	self, err := a.Status(t.Context(), api.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := Recover(t.Context(), profile(t), api.RecoverRequest{Name: "Alice again", Words: "  " + strings.Join(phrase.Words, "\n ") + "\n"})
	if err != nil || again.Account != self.Account || again.Device == self.Device || again.Name != "Alice again" {
		t.Errorf("recovered: %+v, %v; was %+v", again, err, self)
	}
}

// Once the words are written down they are not on the device any more.
func TestTheWordsAreForgotten(t *testing.T) {
	cfg := account(t)
	a, closed := open(t, cfg)
	here := func(want bool) {
		t.Helper()
		if s, err := a.Status(t.Context(), api.StatusRequest{}); err != nil || s.Words != want {
			t.Errorf("the status says that the words are here: %v, %v", s.Words, err)
		}
	}
	here(true)
	if p, err := a.Phrase(t.Context(), api.PhraseRequest{Written: true}); err != nil || !p.Forgotten || p.Words != nil {
		t.Errorf("%+v, %v", p, err)
	}
	for _, r := range []api.PhraseRequest{{}, {Written: true}} {
		_, err := a.Phrase(t.Context(), r)
		wants(t, "asked again", err, problem.WordsGone)
	}
	here(false)
	closed()
	a, _ = open(t, cfg)
	here(false)
	_, err := a.Phrase(t.Context(), api.PhraseRequest{})
	wants(t, "after a restart", err, problem.WordsGone)
}

// secret is a source of a passphrase.
func secret(words string, err error) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return words, err }
}

// A passphrase locks the profile. Without it, or with a wrong one, nothing opens and
// nothing is touched; with it all is as before, and it can be taken off again.
func TestLockAndUnlock(t *testing.T) {
	cfg := account(t)
	a, closed := open(t, cfg)
	_, err := a.Unlock(t.Context(), api.UnlockRequest{Passphrase: "x"})
	wants(t, "a place for an account where one is open", Vacant(cfg), problem.AccountExists)
	wants(t, "unlocking what is not locked", err, problem.NotLocked)
	for _, bad := range []string{"", "two\nlines", "a\rreturn", strings.Repeat("x", maxPassphrase+1)} {
		_, err := a.Lock(t.Context(), api.LockRequest{Passphrase: bad})
		wants(t, fmt.Sprintf("the passphrase %.10q", bad), err, problem.BadPassphrase)
	}
	const good = "correct horse battery staple"
	if p, err := a.Lock(t.Context(), api.LockRequest{Passphrase: good}); err != nil || p.Kind != "passphrase" {
		t.Fatalf("%+v, %v", p, err)
	}
	// Who comes by an unlocked program cannot put their own in its place.
	_, err = a.Lock(t.Context(), api.LockRequest{Passphrase: "mine"})
	wants(t, "another passphrase without the one that holds", err, problem.Locked)
	_, err = a.Lock(t.Context(), api.LockRequest{Passphrase: "mine", Present: "guessed"})
	wants(t, "another passphrase with a wrong one", err, problem.WrongPassphrase)
	const first = good + "!"
	if _, err := a.Lock(t.Context(), api.LockRequest{Passphrase: first, Present: good}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Lock(t.Context(), api.LockRequest{Passphrase: good, Present: first}); err != nil {
		t.Fatal(err)
	}
	self, err := a.Status(t.Context(), api.StatusRequest{})
	if err != nil || self.Protection.Kind != "passphrase" {
		t.Fatalf("%+v, %v", self, err)
	}
	closed()
	before := files(t, cfg.Dirs.Data)
	for what, c := range map[string]struct {
		ask  func(context.Context) (string, error)
		want problem.Code
	}{
		"nobody to ask":      {nil, problem.Locked},
		"no answer":          {secret("", errors.New("no terminal")), problem.Locked},
		"a wrong passphrase": {secret("correct horse battery stapler", nil), problem.WrongPassphrase},
		"an empty one":       {secret("", nil), problem.Locked},
	} {
		cfg.Passphrase = c.ask
		_, err := Open(t.Context(), cfg)
		wants(t, what, err, c.want)
	}
	after := files(t, cfg.Dirs.Data)
	for _, transient := range []map[string][32]byte{before, after} {
		maps.DeleteFunc(transient, func(path string, _ [32]byte) bool { return strings.Contains(filepath.Base(path), "lock") })
	}
	if !maps.Equal(before, after) {
		t.Error("failing to open touched the profile")
	}
	for path := range after {
		if b, err := os.ReadFile(path); err != nil || bytes.Contains(b, []byte(good)) {
			t.Errorf("the passphrase lies in %s (%v)", path, err)
		}
	}
	cfg.Passphrase = secret(good, nil)
	a, closed = open(t, cfg)
	if s, err := a.Status(t.Context(), api.StatusRequest{}); err != nil || s.Account != self.Account {
		t.Errorf("%+v, %v", s, err)
	}
	_, err = a.Unlock(t.Context(), api.UnlockRequest{Passphrase: "wrong"})
	wants(t, "unlocking with a wrong passphrase", err, problem.WrongPassphrase)
	if p, err := a.Unlock(t.Context(), api.UnlockRequest{Passphrase: good}); err != nil || p.Kind != "file" {
		t.Errorf("%+v, %v", p, err)
	}
	closed()
	cfg.Passphrase = nil
	open(t, cfg)
}

// Attack 35: a second user of the profile is told who has it and touches nothing.
func TestProfileInUse(t *testing.T) {
	cfg := account(t)
	_, closed := open(t, cfg)
	_, err := Open(t.Context(), cfg)
	wants(t, "a second Open", err, problem.ProfileInUse)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("it does not say which process: %v", err)
	}
	_, err = Create(t.Context(), cfg, api.InitRequest{})
	wants(t, "a Create beside it", err, problem.ProfileInUse)
	closed()
	open(t, cfg)
}

// Attack 31 and 35: what became of a profile's files is told apart, nothing is made
// anew over them, and the profile is free for the next try.
func TestSpoiltProfiles(t *testing.T) {
	edit := func(change func([]byte) []byte, names ...string) func(string) error {
		return func(dir string) error {
			for _, name := range names {
				b, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(dir, name), change(b), 0o600); err != nil {
					return err
				}
			}
			return nil
		}
	}
	keyFile := func(dir string) string {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if n := e.Name(); !e.IsDir() && n != "vault.key" && n != DatabaseName && !strings.HasPrefix(n, DatabaseName) && !strings.HasPrefix(n, "lock") && n != "config.toml" {
				return filepath.Join(dir, n)
			}
		}
		t.Fatal("there is no key file")
		return ""
	}
	for what, c := range map[string]struct {
		spoil func(dir string) error
		want  problem.Code
	}{
		"the key file is not there":     {func(dir string) error { return os.Remove(keyFile(dir)) }, problem.KeyMissing},
		"the vault is cut short":        {edit(func(b []byte) []byte { return b[:len(b)-1] }, "vault.key"), problem.VaultDamaged},
		"a bit of the vault is flipped": {edit(func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, "vault.key"), problem.VaultDamaged},
		"the vault is of a later version": {edit(func(b []byte) []byte { b[0] = 2; return b }, "vault.key"),
			problem.ProfileNewer},
		"the database is not there": {func(dir string) error { return os.Remove(filepath.Join(dir, DatabaseName)) }, problem.StoreDamaged},
		"the database is empty":     {edit(func([]byte) []byte { return nil }, DatabaseName), problem.StoreDamaged},
		"the database is another's": {edit(func(b []byte) []byte { return bytes.Repeat([]byte{7}, len(b)) }, DatabaseName), problem.StoreDamaged},
		"the database is cut short": {edit(func(b []byte) []byte { return b[:50] }, DatabaseName), problem.StoreDamaged},
	} {
		t.Run(what, func(t *testing.T) {
			cfg := account(t)
			_, closed := open(t, cfg) // once, so that all files are there
			closed()
			if err := c.spoil(cfg.Dirs.Data); err != nil {
				t.Fatal(err)
			}
			cfg.Create = true // not even then
			for range 2 {
				_, err := Open(t.Context(), cfg)
				wants(t, what, err, c.want)
			}
		})
	}
}

// elsewhere is an address of a peer that nobody is.
func elsewhere(t *testing.T, addr string) string {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return addr + "/p2p/" + id.String()
}

// Addresses that are none, or of another network, are refused before anything is
// opened, and by `relay add`.
func TestAddresses(t *testing.T) {
	cfg := account(t)
	a, stop := run(t, cfg)
	good := elsewhere(t, "/ip4/127.0.0.1/tcp/9")
	id := good[strings.LastIndex(good, "/")+1:]
	bad := map[string]problem.Code{
		"":                                      problem.BadAddress,
		"127.0.0.1:4001":                        problem.BadAddress,
		"/ip4/127.0.0.1/tcp/4001":               problem.BadAddress,
		"/p2p/" + id:                            problem.BadAddress,
		"/ip4/127.0.0.1/tcp/4001/p2p/nonsense":  problem.BadAddress,
		"/ip4/300.0.0.1/tcp/4001/p2p/" + id:     problem.BadAddress,
		"/ip4/9.9.9.9/tcp/4001/p2p/" + id:       problem.AddressNotInNet,
		"/ip4/192.168.1.1/tcp/4001/p2p/" + id:   problem.AddressNotInNet,
		"/ip6/2620:fe::fe/tcp/4001/p2p/" + id:   problem.AddressNotInNet,
		"/dns4/example.com/tcp/4001/p2p/" + id:  problem.BadAddress,
		"/ip4/127.0.0.1/tcp/0/p2p/" + id:        problem.AddressNotInNet,
		"/ip4/127.0.0.1/udp/4001/p2p/" + id:     problem.AddressNotInNet,
		"/ip4/127.0.0.1/tcp/4001/ws/p2p/" + id:  problem.AddressNotInNet,
		"/ip4/0.0.0.0/tcp/4001/p2p/" + id:       problem.AddressNotInNet,
		"/ip6/::ffff:7f00:1/tcp/4001/p2p/" + id: problem.AddressNotInNet,
	}
	for addr, want := range bad {
		_, err := a.AddRelay(t.Context(), api.AddRelayRequest{Addr: addr})
		wants(t, "relay add "+addr, err, want)
	}
	if v, err := a.AddRelay(t.Context(), api.AddRelayRequest{Addr: good}); err != nil || v.Relay != id {
		t.Errorf("%+v, %v", v, err)
	}
	if list, err := a.Relays(t.Context(), api.RelaysRequest{}); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	stop()
	a.Close()
	for addr, want := range bad {
		cfg.Relays = []string{addr}
		_, err := Open(t.Context(), cfg)
		wants(t, "--relay "+addr, err, want)
	}
	cfg.Relays = nil
	for listen, want := range map[string]problem.Code{
		"nonsense": problem.CannotListen, "/ip4/127.0.0.1/tcp/99999": problem.CannotListen,
		"/ip4/9.9.9.9/tcp/4001": problem.AddressNotInNet, "/ip4/0.0.0.0/tcp/0": problem.AddressNotInNet,
	} {
		cfg.Listen = []string{listen}
		_, err := Open(t.Context(), cfg)
		wants(t, "--listen "+listen, err, want)
	}
	cfg.Listen = nil
	open(t, cfg)
}

// Two addresses of one relay are one relay.
func TestParsePeers(t *testing.T) {
	one := elsewhere(t, "/ip4/127.0.0.1/tcp/9")
	id := one[strings.Index(one, "/p2p/"):]
	list, err := parsePeers([]string{one, "/ip4/127.0.0.1/udp/9/quic-v1" + id, elsewhere(t, "/ip4/127.0.0.1/tcp/10")}, "loopback")
	if err != nil || len(list) != 2 || len(list[0].Addrs) != 2 || len(list[1].Addrs) != 1 {
		t.Errorf("%v, %v", list, err)
	}
}

// Every error of the store and the vault that a person can meet is a problem with a
// code, whatever it is wrapped in; what is a problem already stays what it is.
func TestProblems(t *testing.T) {
	for err, want := range map[error]problem.Code{
		store.ErrNewer: problem.ProfileNewer, store.ErrFull: problem.DiskFull, store.ErrReadOnly: problem.NotPermitted, store.ErrBusy: problem.ProfileInUse,
		store.ErrMissing: problem.StoreDamaged, store.ErrKey: problem.StoreDamaged, store.ErrDamaged: problem.StoreDamaged,
	} {
		got := storeProblem(fmt.Errorf("deep down: %w", err))
		wants(t, err.Error(), got, want)
		if !errors.Is(got, err) {
			t.Errorf("%v does not say its cause", got)
		}
	}
	for err, want := range map[error]problem.Code{
		vault.ErrLocked: problem.Locked, vault.ErrWrongPassphrase: problem.WrongPassphrase, vault.ErrNoKey: problem.KeyMissing,
		vault.ErrNoKeyring: problem.KeyringSilent, vault.ErrDamaged: problem.VaultDamaged, vault.ErrNewer: problem.ProfileNewer,
		vault.ErrEmptyPassphrase: problem.BadPassphrase, vault.ErrExists: problem.AccountExists,
	} {
		wants(t, err.Error(), vaultProblem(fmt.Errorf("deep down: %w", err)), want)
	}
	for _, pass := range []func(error) error{storeProblem, vaultProblem} {
		if err := pass(nil); err != nil {
			t.Errorf("no error became %v", err)
		}
	}
	gone := problem.New(problem.InvitationGone, nil)
	if err := storeProblem(gone); err != gone {
		t.Errorf("a problem became %v", err)
	}
}

// person puts somebody into an account's contacts.
func (a *App) person(t *testing.T, start string, change func(*store.Contact)) store.Contact {
	t.Helper()
	c := store.Contact{Kind: store.ContactKnown, Created: time.Now()}
	for { // an account id that starts as wanted
		sum := sha256.Sum256(fmt.Append(nil, start, time.Now().UnixNano(), c.PinN))
		c.PinN++
		c.Account = sum
		if strings.HasPrefix(c.Account.String(), start) {
			break
		}
	}
	change(&c)
	err := a.store.Update(t.Context(), func(tx *store.Tx) (err error) {
		c.ID, err = tx.InsertContact(c)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A contact is found by what a person types, and nobody else is.
func TestFind(t *testing.T) {
	a, _ := open(t, account(t))
	named := func(name string) func(*store.Contact) { return func(c *store.Contact) { c.Petname = name } }
	bob := a.person(t, "aa", named("Bob Smith"))
	twin := a.person(t, bob.Account.String()[:2], named("Twin"))
	carol := a.person(t, "cc", func(c *store.Contact) { c.Name = "Carol, as she says" })
	gone := a.person(t, "dd", func(c *store.Contact) { c.Removed = time.Now() })
	self := a.person(t, "ee", func(c *store.Contact) { c.Kind, c.Petname = store.ContactSelf, "Notes" })
	// Dave's petname is how Carol's id starts: what was chosen comes first, but
	// a whole id is nobody else's.
	dave := a.person(t, "ff", named(carol.Account.String()[:6]))
	for name, want := range map[string]store.Contact{
		"Bob Smith": bob, "bob smith": bob, "BOB  SMITH": bob, "Ｂｏｂ Smith": bob, bob.Account.String(): bob, bob.Account.String()[:20]: bob,
		strings.ToUpper(bob.Account.String()): bob, strings.ToUpper(bob.Account.String()[:20]): bob,
		"twin": twin, twin.Account.String()[:20]: twin, carol.Account.String(): carol, carol.Account.String()[:7]: carol,
		carol.Account.String()[:6]: dave, dave.Account.String()[:8]: dave,
	} {
		if who, err := a.find(t.Context(), name); err != nil || who.ID != want.ID {
			t.Errorf("%q finds %+v, %v", name, who.Petname, err)
		}
	}
	for _, name := range []string{
		"", " ", "nobody", "Bob", "Smith", "Carol, as she says", bob.Account.String()[:3], bob.Account.String() + "a",
		gone.Account.String(), gone.Account.String()[:10], self.Account.String(), "Notes", "%", "*", "a' OR '1'='1",
	} {
		_, err := a.find(t.Context(), name)
		wants(t, fmt.Sprintf("%q", name), err, problem.NoSuchContact)
	}
	// Two ids that start alike for as long as a person would type.
	alike := a.person(t, bob.Account.String()[:4], named("Alike"))
	_, err := a.find(t.Context(), alike.Account.String()[:4])
	wants(t, "a beginning of two", err, problem.AmbiguousContact)
	list, err := a.Contacts(t.Context(), api.ContactsRequest{})
	var names []string
	for _, c := range list {
		names = append(names, c.Name)
	}
	want := []string{"Alike", "Bob Smith", dave.Petname, carol.Account.String()[:12], "Twin"}
	slices.SortFunc(want, func(a, b string) int { return strings.Compare(store.PetnameKey(a), store.PetnameKey(b)) })
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("contacts are %q, want %q (%v)", names, want, err)
	}
}

// What is asked of an account and cannot be done ends with the problem that says why.
func TestRefusals(t *testing.T) {
	a, stop := run(t, account(t))
	ctx := t.Context()
	bob := a.person(t, "b", func(c *store.Contact) { c.Petname = "Bob" })
	carol := a.person(t, "c", func(c *store.Contact) { c.Petname = "Carol" })
	a.person(t, "d", func(c *store.Contact) { c.Petname, c.Frozen = "Dave", true })
	// Nobody is given a name that finds somebody else.
	for _, name := range []string{carol.Account.String()[:7], strings.ToUpper(carol.Account.String()[:7]), "CAROL", "you", "You"} {
		_, err := a.RenameContact(ctx, api.RenameRequest{Contact: "Bob", Name: name})
		wants(t, "rename to "+name, err, problem.BadName)
	}
	device := identity.NewDevicePrivate([32]byte{1}).Public()
	agree := identity.NewAgreementPrivate([32]byte{2}).Public()
	if err := a.store.Update(ctx, func(tx *store.Tx) error {
		return tx.PutDevice(store.Device{Device: device, Contact: bob.ID, Agreement: agree})
	}); err != nil {
		t.Fatal(err)
	}
	send := func(to, text string) error {
		_, err := a.Send(ctx, api.SendRequest{Contact: to, Text: text})
		return err
	}
	wants(t, "writing to nobody", send("nobody", "hi"), problem.NoSuchContact)
	wants(t, "saying nothing", send("Bob", ""), problem.BadText)
	wants(t, "saying too much", send("Bob", strings.Repeat("x", 60_001)), problem.BadText)
	wants(t, "saying what is no text", send("Bob", "\xff"), problem.BadText)
	wants(t, "writing to who is frozen", send("Dave", "hi"), problem.ContactFrozen)
	sent, err := a.Send(ctx, api.SendRequest{Contact: "Bob", Text: strings.Repeat("é", 20_000)})
	if err != nil || sent.State != api.Queued || sent.Conversation != bob.Account.String() {
		t.Errorf("%+v, %v", sent, err)
	}
	short, err := a.Send(ctx, api.SendRequest{Contact: "Bob", Text: "hi", Wait: api.Delivered, Timeout: 1}) // 1 ns: it is kept here all the same
	if err != nil || short.State != api.Queued {
		t.Errorf("waiting in vain: %+v, %v", short, err)
	}
	if _, err := a.BlockContact(ctx, api.ContactRequest{Contact: "Bob"}); err != nil {
		t.Error(err)
	}
	wants(t, "writing to who is blocked", send("Bob", "hi"), problem.ContactBlocked)
	if c, err := a.UnblockContact(ctx, api.ContactRequest{Contact: "Bob"}); err != nil || c.Blocked {
		t.Errorf("%+v, %v", c, err)
	}

	messages := func(r api.MessagesRequest) ([]api.Message, error) { return a.Messages(ctx, r) }
	_, err = messages(api.MessagesRequest{Contact: "nobody"})
	wants(t, "reading nobody", err, problem.NoSuchContact)
	for _, before := range []string{"nonsense", strings.Repeat("a", 26)} {
		_, err = messages(api.MessagesRequest{Contact: "Bob", Before: before})
		wants(t, "reading before "+before, err, problem.NoSuchMessage)
	}
	if list, err := messages(api.MessagesRequest{Contact: "Bob", Before: short.ID, Limit: 5}); err != nil || len(list) != 1 || list[0].ID != sent.ID {
		t.Errorf("before the second: %d, %v", len(list), err)
	}
	if list, err := messages(api.MessagesRequest{Contact: "Carol"}); err != nil || len(list) != 0 {
		t.Errorf("of who said nothing: %d, %v", len(list), err)
	}

	rename := func(who, name string) error {
		_, err := a.RenameContact(ctx, api.RenameRequest{Contact: who, Name: name})
		return err
	}
	wants(t, "a name that is another's", rename("Bob", "CAROL"), problem.BadName)
	wants(t, "no name", rename("Bob", ""), problem.BadName)
	wants(t, "a name with an override", rename("Bob", "B\u202eob"), problem.BadName)
	wants(t, "a name of nobody's", rename("nobody", "X"), problem.NoSuchContact)
	if err := rename("Bob", "bob"); err != nil {
		t.Errorf("another case of one's own name: %v", err)
	}
	_, err = a.Verify(ctx, api.VerifyRequest{Contact: "Bob"})
	if err == nil {
		t.Error("a safety number without keys")
	}
	_, err = a.RemoveContact(ctx, api.ContactRequest{Contact: "nobody"})
	wants(t, "removing nobody", err, problem.NoSuchContact)

	_, err = a.Invite(ctx, api.InviteRequest{Reusable: true, Expires: api.Duration(chat.MaxAddress + time.Hour)})
	wants(t, "an address for too long", err, problem.InvitationLifetime)
	for _, id := range []string{"", "zz", "aaaa", strings.Repeat("a", 52)} {
		_, err = a.AcceptRequest(ctx, api.DecideRequest{ID: id})
		wants(t, "accepting nobody's request", err, problem.NoSuchRequest)
		_, err = a.IgnoreRequest(ctx, api.DecideRequest{ID: id})
		wants(t, "ignoring nobody's request", err, problem.NoSuchRequest)
		_, err = a.BlockRequest(ctx, api.DecideRequest{ID: id})
		wants(t, "blocking nobody's request", err, problem.NoSuchRequest)
	}
	for _, lifetime := range []time.Duration{time.Second, 31 * 24 * time.Hour} {
		_, err = a.Invite(ctx, api.InviteRequest{Expires: api.Duration(lifetime)})
		wants(t, "an invitation for "+lifetime.String(), err, problem.InvitationLifetime)
	}
	for _, id := range []string{"", "zz", "00", strings.Repeat("0", 16)} {
		_, err = a.RevokeInvite(ctx, api.InvitationRequest{ID: id})
		wants(t, "revoking "+id, err, problem.NoSuchInvitation)
	}
	inv, err := a.Invite(ctx, api.InviteRequest{})
	if err != nil || inv.State != "open" || inv.Link == "" || inv.Notice == "" {
		t.Fatalf("%+v, %v", inv, err)
	}
	accept := func(link string, r api.AcceptRequest) error {
		r.Link = link
		_, err := a.Accept(ctx, r)
		return err
	}
	wants(t, "accepting what is no link", accept("https://example.com", api.AcceptRequest{}), problem.NotAnInvitation)
	wants(t, "accepting half a link", accept(inv.Link[:len(inv.Link)/2], api.AcceptRequest{}), problem.NotAnInvitation)
	wants(t, "accepting one's own", accept(inv.Link, api.AcceptRequest{}), problem.OwnInvitation)
	hints := []identity.Hint{{Kind: identity.HintDevice, Peer: peerBytes(t), Addrs: [][]byte{{4, 127, 0, 0, 1, 6, 0, 9}}}}
	other := identity.NewInvitation(identity.Single, identity.AccountID{1}, hints).Link()
	wants(t, "accepting from who is not there", accept(other, api.AcceptRequest{}), problem.InvitationUnreachable)
	wants(t, "accepting under a bad name", accept(other, api.AcceptRequest{Name: "a\nb"}), problem.BadName)
	wants(t, "accepting with what is no text", accept(other, api.AcceptRequest{Message: "\xff"}), problem.BadText)
	card := identity.NewInvitation(identity.Reusable, identity.AccountID{1}, hints).Link()
	wants(t, "accepting the address of who is not there", accept(card, api.AcceptRequest{}), problem.InvitationUnreachable)
	if v, err := a.RevokeInvite(ctx, api.InvitationRequest{ID: inv.ID}); err != nil || v.State != "revoked" || v.Link != "" {
		t.Errorf("%+v, %v", v, err)
	}
	_, err = a.RevokeInvite(ctx, api.InvitationRequest{ID: inv.ID})
	wants(t, "revoking twice", err, problem.InvitationSpent)
	if list, err := a.Invites(ctx, api.InvitesRequest{}); err != nil || len(list) != 1 {
		t.Errorf("%d invitations, %v", len(list), err)
	}

	_, err = a.RemoveRelay(ctx, api.RelayRequest{Relay: "12D3KooWnobody"})
	wants(t, "removing a relay that is none", err, problem.NoSuchRelay)
	var last api.Relay
	for err == nil || errors.Is(err, problem.NoSuchRelay) {
		var v api.Relay
		if v, err = a.AddRelay(ctx, api.AddRelayRequest{Addr: elsewhere(t, "/ip4/127.0.0.1/tcp/9")}); err == nil {
			last = v
		}
	}
	wants(t, "one relay more than can be used", err, problem.TooManyRelays)
	if _, err := a.RemoveRelay(ctx, api.RelayRequest{Relay: last.Relay[:len(last.Relay)-4]}); err != nil {
		t.Errorf("removing a relay by the start of its id: %v", err)
	}
	_, err = a.RemoveRelay(ctx, api.RelayRequest{Relay: last.Relay})
	wants(t, "removing it twice", err, problem.NoSuchRelay)

	stop()
	wants(t, "writing after the end", send("Bob", "hi"), problem.NodeStopped)
	_, err = a.Invite(ctx, api.InviteRequest{})
	wants(t, "inviting after the end", err, problem.NodeStopped)
	if _, err := messages(api.MessagesRequest{Contact: "Bob"}); err != nil {
		t.Errorf("reading after the end: %v", err)
	}
}

func peerBytes(t *testing.T) []byte {
	t.Helper()
	_, id, _ := strings.Cut(elsewhere(t, ""), "/p2p/")
	p, err := peer.Decode(id)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(p)
}

// An account that is opened and never run gives everything back, and so does one
// that is closed while things are under way. TestMain sees that nothing is left.
func TestOpenAndCloseAgain(t *testing.T) {
	cfg := account(t)
	cfg.Relays = []string{elsewhere(t, "/ip4/127.0.0.1/tcp/9")}
	for range 3 {
		_, closed := open(t, cfg)
		closed()
	}
	for range 3 {
		a, stop := run(t, cfg)
		ready := make(chan struct{})
		ended := make(chan error, 1)
		go func() {
			ended <- a.Events(context.Background(), api.EventsRequest{}, func(e api.Event) error {
				if e.Event == api.EventReady {
					close(ready)
					return errors.New("seen enough")
				}
				return nil
			})
		}()
		<-ready
		if err := <-ended; err == nil || err.Error() != "seen enough" {
			t.Errorf("events ended with %v", err)
		}
		stop()
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(cancelled, cfg); err == nil {
		t.Error("opened for nobody")
	}
	open(t, cfg)
}

// What lives on this computer is named by its id, by nothing else, and is no contact; what
// cannot be meant is refused.
func TestConversationsWithNobody(t *testing.T) {
	a, _ := run(t, account(t))
	ctx := t.Context()
	bob := a.person(t, "aa", func(c *store.Contact) { c.Petname = "Echo and Narcissus" })
	for _, name := range []string{"echo", "Self", "notes to self"} {
		_, err := a.Send(ctx, api.SendRequest{Contact: name, Text: "hello"})
		wants(t, name, err, problem.NoSuchContact)
	}
	v, err := a.AddEcho(ctx, api.AddEchoRequest{})
	if err != nil || v.ID != api.Echo {
		t.Fatalf("%+v, %v", v, err)
	}
	sent, err := a.Send(ctx, api.SendRequest{Contact: "self", Text: "a note", Wait: api.Delivered})
	if err != nil || sent.State != api.Delivered || sent.Conversation != api.Self {
		t.Errorf("%+v, %v", sent, err)
	}
	_, err = a.RenameContact(ctx, api.RenameRequest{Contact: bob.Account.String(), Name: "Echo"})
	wants(t, "a petname that is an id", err, problem.BadName)
	people, err := a.Contacts(ctx, api.ContactsRequest{})
	if err != nil || len(people) != 1 {
		t.Errorf("contacts are %+v, %v", people, err)
	}
	list, err := a.Conversations(ctx, api.ConversationsRequest{})
	if err != nil || len(list) != 3 {
		t.Errorf("conversations are %+v, %v", list, err)
	}
	found, err := a.Search(ctx, api.SearchRequest{Text: "echo"})
	if err != nil || len(found.People) != 2 || len(found.Messages) != 1 {
		t.Errorf("found %+v, %v", found, err)
	}
	_, err = a.Messages(ctx, api.MessagesRequest{Contact: "self", Before: sent.ID, After: sent.ID})
	wants(t, "before and after", err, problem.BadRequest)
	_, err = a.Marked(ctx, api.MarkedRequest{Mark: api.MarkPinned})
	wants(t, "pinned anywhere", err, problem.BadRequest)
	_, err = a.Marked(ctx, api.MarkedRequest{Mark: "liked"})
	wants(t, "another mark", err, problem.BadRequest)
	_, err = a.Search(ctx, api.SearchRequest{Text: strings.Repeat("x", 5000)})
	wants(t, "too much to look for", err, problem.BadRequest)
}
