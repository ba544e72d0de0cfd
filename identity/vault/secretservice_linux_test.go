package vault

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	keyring "github.com/zalando/go-keyring"
)

// inSession says to the test's own program that it runs in the session made for it:
// "open", with a keyring that is unlocked, or "locked", with one that waits for a
// person.
const inSession = "GODWIT_TEST_SESSION"

// A real keyring: gnome-keyring, on a session bus of its own, with a home of its own.
func TestSecretService(t *testing.T) {
	switch os.Getenv(inSession) {
	case "open":
		openKeyring(t)
		return
	case "locked":
		lockedKeyring(t)
		return
	}
	for _, program := range []string{"dbus-run-session", "gnome-keyring-daemon"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("NOT TESTED: the system's keyring, as there is no %s here", program)
		}
	}
	// The daemon returns when it listens, and ends with its bus. Without --unlock the
	// bus starts it when it is asked for.
	for session, unlock := range map[string]string{"open": "printf password | gnome-keyring-daemon --components=secrets --unlock || exit", "locked": ""} {
		t.Run(session, func(t *testing.T) {
			home := t.TempDir()
			run := filepath.Join(home, "run")
			if err := os.Mkdir(run, 0o700); err != nil {
				t.Fatal(err)
			}
			script := unlock + "\n" + `exec "$0" -test.run='^TestSecretService$' -test.v`
			cmd := exec.CommandContext(t.Context(), "dbus-run-session", "--", "sh", "-c", script, os.Args[0])
			cmd.Env = append(os.Environ(), inSession+"="+session, "HOME="+home, "XDG_RUNTIME_DIR="+run, "XDG_DATA_HOME="+filepath.Join(home, "data"),
				"DISPLAY=", "WAYLAND_DISPLAY=")
			cmd.WaitDelay = 10 * time.Second
			if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS")) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// openKeyring has a vault's key go into the keyring, out of it and back.
func openKeyring(t *testing.T) {
	dir := t.TempDir()
	account, secrets := someSecrets()
	if _, err := Create(dir, account, ByKeyring, secrets, Options{}); err != nil {
		t.Fatal(err)
	}
	item, err := keyring.Get(KeyringService, account.String())
	if err != nil {
		t.Fatal(err)
	}
	key, err := base64.RawStdEncoding.DecodeString(item)
	if err != nil || len(key) != 1+keySize {
		t.Fatalf("the item holds %d bytes: %v", len(key), err)
	}
	if _, err := os.Stat(filepath.Join(dir, KeyFileName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the key lies in a file too: %v", err)
	}
	sealed, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil || bytes.Contains(sealed, key[1:]) || bytes.Contains(sealed, secrets.Device[:]) {
		t.Errorf("the vault's file tells: %v", err)
	}
	v, err := Open(dir, Options{})
	if err != nil || v.Protection() != ByKeyring || v.Secrets().Device != secrets.Device {
		t.Fatalf("opened by the keyring: %v", err)
	}
	if err := v.SetPassphrase([]byte("p")); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Get(KeyringService, account.String()); !errors.Is(err, keyring.ErrNotFound) {
		t.Errorf("under a passphrase, the keyring still has an item: %v", err)
	}
	if err := v.RemovePassphrase(ByKeyring); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); err != nil {
		t.Errorf("back in the keyring: %v", err)
	}
	if err := keyring.Delete(KeyringService, account.String()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrNoKey) {
		t.Errorf("without its item: %v", err)
	}
}

// lockedKeyring has nobody who could unlock it: the vault says so in time.
func lockedKeyring(t *testing.T) {
	began := time.Now()
	account, secrets := someSecrets()
	if _, err := Create(t.TempDir(), account, ByKeyring, secrets, Options{}); !errors.Is(err, ErrNoKeyring) {
		t.Errorf("with a keyring that is locked: %v", err)
	}
	if took := time.Since(began); took > 3*KeyringLimit {
		t.Errorf("it took %v", took)
	}
}
