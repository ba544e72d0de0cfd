package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/godwit-im/godwit/app/problem"
)

// Dirs are the places of a profile. All are absolute. Directories are made
// 0700 and files 0600.
type Dirs struct {
	// Profile is what --profile or GODWIT_HOME named; empty with the
	// directories of the system. A named profile keeps its key in a file
	// rather than in the keyring.
	Profile    string
	ConfigFile string // config.toml
	Data       string // database, keys
	State      string // logs, lock
	Cache      string // may be removed at any time
	Relay      string // the relay node mode's default --data
	// RelaySocket is where the relay there tells its status.
	RelaySocket string
	// Socket is the local API: a path for package local.
	Socket string
}

// maxSocketPath is the longest path of a unix socket that we use, in bytes:
// sun_path holds 104 on macOS and 108 on Linux.
const maxSocketPath = 100

// FindDirs says where a profile's places are, without making them.
func FindDirs(profile string, getenv func(string) string) (Dirs, error) {
	if profile == "" {
		profile = getenv("GODWIT_HOME")
	}
	if profile != "" {
		abs, err := filepath.Abs(profile)
		if err != nil {
			return Dirs{}, problem.New(problem.CannotMakeDir, err)
		}
		d := Dirs{
			Profile: abs, ConfigFile: filepath.Join(abs, "config.toml"),
			Data: abs, State: abs, Cache: filepath.Join(abs, "cache"), Relay: filepath.Join(abs, "relay"),
		}
		d.Socket, d.RelaySocket = socketPath(filepath.Join(abs, "api.sock"), getenv), socketPath(filepath.Join(d.Relay, "relay.sock"), getenv)
		return d, nil
	}
	home := getenv("HOME")
	switch runtime.GOOS {
	case "windows":
		local := getenv("LOCALAPPDATA")
		if local == "" {
			return Dirs{}, problem.Newf(problem.CannotMakeDir, "LOCALAPPDATA is not set")
		}
		return under(filepath.Join(local, "Godwit"), getenv), nil
	case "darwin":
		if home == "" {
			return Dirs{}, problem.Newf(problem.CannotMakeDir, "HOME is not set")
		}
		return under(filepath.Join(home, "Library", "Application Support", "im.godwit.desktop"), getenv), nil
	}
	// XDG Base Directory Specification 0.8: a relative path is to be ignored.
	xdg := func(name, fallback string) string {
		if v := getenv(name); filepath.IsAbs(v) {
			return filepath.Join(v, "godwit")
		}
		return filepath.Join(home, fallback, "godwit")
	}
	if home == "" && (getenv("XDG_CONFIG_HOME") == "" || getenv("XDG_DATA_HOME") == "" || getenv("XDG_STATE_HOME") == "" || getenv("XDG_CACHE_HOME") == "") {
		return Dirs{}, problem.Newf(problem.CannotMakeDir, "HOME is not set")
	}
	d := Dirs{
		ConfigFile: filepath.Join(xdg("XDG_CONFIG_HOME", ".config"), "config.toml"),
		Data:       xdg("XDG_DATA_HOME", ".local/share"),
		State:      xdg("XDG_STATE_HOME", ".local/state"),
		Cache:      xdg("XDG_CACHE_HOME", ".cache"),
	}
	d.Relay = filepath.Join(d.Data, "relay")
	d.Socket, d.RelaySocket = socketPath(filepath.Join(d.State, "api.sock"), getenv), socketPath(filepath.Join(d.Relay, "relay.sock"), getenv)
	if run := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(run) {
		d.Socket = socketPath(filepath.Join(run, "godwit", "api.sock"), getenv)
	}
	return d, nil
}

// under is everything in one directory, where the system has but one.
func under(dir string, getenv func(string) string) Dirs {
	return Dirs{
		ConfigFile: filepath.Join(dir, "config.toml"),
		Data:       dir, State: dir, Cache: filepath.Join(dir, "cache"), Relay: filepath.Join(dir, "relay"),
		Socket: socketPath(filepath.Join(dir, "api.sock"), getenv), RelaySocket: socketPath(filepath.Join(dir, "relay", "relay.sock"), getenv),
	}
}

// WindowSocket is where a window answers that has no account open yet, so that the API is
// not served.
func (d Dirs) WindowSocket() string { return strings.TrimSuffix(d.Socket, ".sock") + "-w.sock" }

// RelaySocket is where the relay of a directory tells its status. MakePrivate is to make
// the directory that it is in.
func RelaySocket(data string, getenv func(string) string) (string, error) {
	abs, err := filepath.Abs(data)
	if err != nil {
		return "", problem.New(problem.RelayDir, err)
	}
	return socketPath(filepath.Join(abs, "relay.sock"), getenv), nil
}

func shortHash(path string) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:8])
}

// socketPath is the wanted path of a socket, or a short one made from its hash where that is
// too long for a unix socket.
func socketPath(want string, getenv func(string) string) string {
	if len(want) <= maxSocketPath || runtime.GOOS == "windows" { // where it only names a pipe
		return want
	}
	run := getenv("XDG_RUNTIME_DIR")
	if filepath.IsAbs(run) {
		run = filepath.Join(run, "godwit")
	} else {
		// Without a runtime directory: our own in the place for temporary
		// files. Make checks that it belongs to nobody else.
		run = filepath.Join(os.TempDir(), fmt.Sprintf("godwit-%d", os.Getuid()))
	}
	return filepath.Join(run, shortHash(want)+".sock")
}

// Make makes the directories of a profile, each open to its owner only, and
// refuses one that somebody else owns or that others may write to.
func (d Dirs) Make() error {
	dirs := []string{filepath.Dir(d.ConfigFile), d.Data, d.State, d.Cache}
	if runtime.GOOS != "windows" {
		dirs = append(dirs, filepath.Dir(d.Socket))
	}
	for _, dir := range dirs {
		if err := MakePrivate(dir); err != nil {
			return err
		}
	}
	return nil
}

// MakePrivate makes one directory, and those above it, open to the owner only.
// One that is there already must not be somebody else's. If it is empty or a
// profile, it is closed to others; a directory with other things in it keeps its
// mode (somebody may have named /tmp), but nobody else may be able to write there.
// Errors: problem.CannotMakeDir, NotPermitted.
func MakePrivate(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return problem.New(problem.CannotMakeDir, err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return problem.New(problem.CannotMakeDir, err)
	}
	if err := ownedByUs(dir, info); err != nil {
		return err
	}
	mode := info.Mode().Perm()
	if runtime.GOOS == "windows" || mode&0o077 == 0 {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return problem.New(problem.NotPermitted, err)
	}
	ours := func(e os.DirEntry) bool { return slices.Contains(ourFiles[:], e.Name()) }
	if len(entries) == 0 || slices.ContainsFunc(entries, ours) {
		if err := os.Chmod(dir, 0o700); err != nil {
			return problem.New(problem.NotPermitted, err)
		}
		return nil
	}
	if mode&0o022 != 0 {
		return problem.Newf(problem.NotPermitted, "others may write to %s, which holds more than a profile", dir)
	}
	return nil
}

// ourFiles are what a directory of ours is known by.
var ourFiles = [...]string{"lock", "config.toml", "vault.key", "relay.key", "api.sock", "godwit.log"}
