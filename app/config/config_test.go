package config

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/app/problem"
)

// env makes a Getenv of pairs.
func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// profile makes a profile with a config.toml of this text.
func profile(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func origin(t *testing.T, settings []Setting, key string) string {
	t.Helper()
	for _, s := range settings {
		if s.Key == key {
			return s.Origin
		}
	}
	t.Fatalf("%s is not among the settings", key)
	return ""
}

func TestFlagsBeatEnvironmentBeatFileBeatDefault(t *testing.T) {
	dir := profile(t, "# mine\nnetwork = \"lan\"\nhttp = \"127.0.0.1:8080\"\nmax_disk = \"1GiB\"\n")
	cfg, settings, err := Load(Sources{
		Profile: dir,
		Getenv:  env("GODWIT_HTTP", "127.0.0.1:9090", "GODWIT_MAX_DISK", "2GiB", "GODWIT_RELAY", "/ip4/127.0.0.1/tcp/1/p2p/A,/ip4/127.0.0.1/tcp/2/p2p/B"),
		Flags:   map[string][]string{"max_disk": {"3GiB"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Network != LAN || cfg.HTTP != "127.0.0.1:9090" || cfg.MaxDisk != 3<<30 || len(cfg.Relays) != 2 || cfg.LogLevel != slog.LevelInfo {
		t.Fatalf("%+v", cfg)
	}
	for key, want := range map[string]string{
		"network": filepath.Join(dir, "config.toml") + ":2", "http": "environment GODWIT_HTTP", "max_disk": "flag --max-disk",
		"relay": "environment GODWIT_RELAY", "log_level": "default",
	} {
		if got := origin(t, settings, key); got != want {
			t.Errorf("%s: from %q, want %q", key, got, want)
		}
	}
}

func TestAMistakeInTheFileIsNamedWithItsLine(t *testing.T) {
	for _, c := range []struct {
		text, says string
		code       problem.Code
	}{
		{"network = \"lan\"\n\nlog_levle = \"debug\"\n", "config.toml:3: unknown key \"log_levle\"", problem.ConfigUnknown},
		{"relays = [\"x\"]\n", "did you mean \"relay\"?", problem.ConfigUnknown},
		{"network = \"lan\"\n[node]\nlisten = [\"/ip4/127.0.0.1/tcp/0\"]\n", "config.toml:2: unknown key \"node\"", problem.ConfigUnknown},
		{"\"odd key\" = 1\n", "config.toml:1: unknown key", problem.ConfigUnknown},
		{"\nnetwork = \"moon\"\n", "config.toml:2: network: \"moon\" is not public, lan or loopback", problem.ConfigValue},
		{"listen = \"tcp://1\"\n", "is not a multiaddr", problem.ConfigValue},
		{"relay = [\"/ip4/127.0.0.1/tcp/1\"]\n", "the peer's id", problem.ConfigValue},
		{"relay = [1]\n", "config.toml:1: relay: 1 is not text", problem.ConfigValue},
		{"network = [\"lan\"]\n", "wants a text", problem.ConfigValue},
		{"max_disk = \"lots\"\n", "is not a size", problem.ConfigValue},
		{"http = \"8080\"\n", "is not host:port", problem.ConfigValue},
		{"log_level = \"loud\"\n", "log_level", problem.ConfigValue},
		{"network = \"lan\"\nnetwork = \"lan\"\n", "config.toml:2", problem.ConfigSyntax},
		{"network = \n", "config.toml:1", problem.ConfigSyntax},
	} {
		_, _, err := Load(Sources{Profile: profile(t, c.text), Getenv: env()})
		if !errors.Is(err, c.code) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v; want %s: %s", c.text, err, c.code, c.says)
		}
		if err != nil && problem.From(err).Exit != problem.ExitConfig {
			t.Errorf("%q: exit %d", c.text, problem.From(err).Exit)
		}
	}
}

// Private routing follows the network unless somebody says otherwise.
func TestPrivateRoutingFollowsTheNetwork(t *testing.T) {
	for _, c := range []struct {
		file   string
		want   string
		origin string
	}{
		{"", "on", "default"},
		{"network = \"loopback\"\n", "off", "default"},
		{"network = \"lan\"\n", "off", "default"},
		{"network = \"loopback\"\nprivate_routing = \"on\"\n", "on", "config.toml:2"},
		{"network = \"loopback\"\nprivate_routing = \"only\"\n", "only", "config.toml:2"},
		{"private_routing = \"off\"\n", "off", "config.toml:1"},
	} {
		cfg, settings, err := Load(Sources{Profile: profile(t, c.file), Getenv: env()})
		i := slices.IndexFunc(settings, func(s Setting) bool { return s.Key == "private_routing" })
		if err != nil || string(cfg.Private.In(cfg.Network)) != c.want || i < 0 || !strings.HasSuffix(settings[i].Origin, c.origin) || settings[i].Values[0] != c.want {
			t.Errorf("%q: %v, %+v, %v", c.file, cfg.Private, settings, err)
		}
	}
	_, _, err := Load(Sources{Profile: t.TempDir(), Getenv: env(), Flags: map[string][]string{"private_routing": {"always"}}})
	if !errors.Is(err, problem.Usage) || !strings.Contains(err.Error(), "--private-routing") {
		t.Errorf("a wrong flag is %v", err)
	}
}

func TestAWrongFlagIsWrongUsage(t *testing.T) {
	_, _, err := Load(Sources{Profile: t.TempDir(), Getenv: env(), Flags: map[string][]string{"network": {"moon"}}})
	if !errors.Is(err, problem.Usage) || !strings.Contains(err.Error(), "--network") {
		t.Fatal(err)
	}
}

func TestDirectoriesFollowXDG(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("XDG directories are Linux's")
	}
	d, err := FindDirs("", env("HOME", "/h", "XDG_DATA_HOME", "/d", "XDG_STATE_HOME", "relative", "XDG_RUNTIME_DIR", "/run/user/7"))
	if err != nil {
		t.Fatal(err)
	}
	want := Dirs{
		ConfigFile: "/h/.config/godwit/config.toml", Data: "/d/godwit", State: "/h/.local/state/godwit",
		Cache: "/h/.cache/godwit", Relay: "/d/godwit/relay", RelaySocket: "/d/godwit/relay/relay.sock", Socket: "/run/user/7/godwit/api.sock",
	}
	if d != want {
		t.Fatalf("%+v\nwant %+v", d, want)
	}
	if _, err := FindDirs("", env()); !errors.Is(err, problem.CannotMakeDir) {
		t.Fatalf("without a home there is no place: %v", err)
	}
}

func TestAProfileHasEverythingUnderIt(t *testing.T) {
	dir := t.TempDir()
	d, err := FindDirs("", env("GODWIT_HOME", dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{d.ConfigFile, d.Data, d.State, d.Cache, d.Relay} {
		if p != dir && !strings.HasPrefix(p, dir+string(filepath.Separator)) {
			t.Errorf("%s is outside", p)
		}
	}
}

func TestALongSocketPathMoves(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("pipes have no paths")
	}
	long := filepath.Join(t.TempDir(), strings.Repeat("x", 100))
	a, err := FindDirs(long, env("XDG_RUNTIME_DIR", "/run/user/7"))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := FindDirs(long+"y", env("XDG_RUNTIME_DIR", "/run/user/7"))
	if !strings.HasPrefix(a.Socket, "/run/user/7/godwit/") || !strings.HasSuffix(a.Socket, ".sock") || len(a.Socket) > maxSocketPath {
		t.Fatal(a.Socket)
	}
	if a.Socket == b.Socket {
		t.Fatal("two profiles share a socket")
	}
	c, _ := FindDirs(long, env())
	if len(c.Socket) > maxSocketPath {
		t.Fatal(c.Socket)
	}
	// At the edge: 100 bytes stay, 101 move.
	for n, moves := range map[int]bool{100: false, 101: true} {
		p := "/" + strings.Repeat("p", n-1)
		if got := socketPath(p, env("XDG_RUNTIME_DIR", "/r")) != p; got != moves {
			t.Errorf("%d bytes: moves %v", n, got)
		}
	}
}

// The status of a relay is had beside its data, or where that path is too long in a directory
// of our own, and never in one that all share.
func TestWhereARelayTellsItsStatus(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("its paths look otherwise")
	}
	deep := "/" + strings.Repeat("d", 200)
	for _, c := range []struct{ data, run, want string }{
		{"/srv/relay", "", "/srv/relay/relay.sock"},
		{deep, "/run/user/7", "/run/user/7/godwit"},
		{deep, "", filepath.Join(os.TempDir(), fmt.Sprintf("godwit-%d", os.Getuid()))},
	} {
		got, err := RelaySocket(c.data, env("XDG_RUNTIME_DIR", c.run))
		if err != nil || got != c.want && filepath.Dir(got) != c.want || len(got) > maxSocketPath {
			t.Errorf("of %s it is %s, %v", c.data, got, err)
		}
	}
}

func TestDirectoriesAreClosedToOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has access lists instead of modes")
	}
	open := filepath.Join(t.TempDir(), "mkdir-made-this")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	d, err := FindDirs(open, env())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Make(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{d.Data, d.Cache} {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v %v", dir, info.Mode(), err)
		}
	}

	// Somebody's directory of other things keeps its mode, and is refused
	// where others can write.
	shared := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(shared, "thesis.txt"), nil, 0o644), os.Chmod(shared, 0o755)); err != nil {
		t.Fatal(err)
	}
	if err := MakePrivate(shared); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(shared); info.Mode().Perm() != 0o755 {
		t.Errorf("the mode of a directory that is not ours became %v", info.Mode())
	}
	if err := os.Chmod(shared, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := MakePrivate(shared); !errors.Is(err, problem.NotPermitted) {
		t.Errorf("keys would lie where others can replace them: %v", err)
	}
}

// The test binary is its own second process: with GODWIT_TEST_LOCK it tries to
// take the lock of that profile and says what happened.
func TestMain(m *testing.M) {
	if dir := os.Getenv("GODWIT_TEST_LOCK"); dir != "" {
		d, err := FindDirs(dir, os.Getenv)
		if err == nil {
			_, err = Acquire(d)
		}
		fmt.Println(err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestTheSecondProcessIsToldWhichHasTheProfile(t *testing.T) {
	dir := t.TempDir()
	d, err := FindDirs(dir, env())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Make(); err != nil {
		t.Fatal(err)
	}
	lock, err := Acquire(d)
	if err != nil {
		t.Fatal(err)
	}
	second := func() string {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "GODWIT_TEST_LOCK="+dir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if got := second(); !strings.Contains(got, fmt.Sprintf("process %d ", os.Getpid())) || !strings.Contains(got, "CFG-04") {
		t.Fatalf("the second process heard %q", got)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if got := second(); got != "<nil>" {
		t.Fatalf("after the release: %q", got)
	}
}

func TestTheLogKeepsThreeFilesOfABoundedSize(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "godwit.log")
	l, err := openLog(path, 100)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if _, err := fmt.Fprintf(l, "line %02d of twenty\n", i); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil || info.Size() > 100 {
			t.Errorf("%s: %d bytes, %v", f.Name(), info.Size(), err)
		}
	}
	newest, err := os.ReadFile(path)
	if err != nil || !strings.HasSuffix(string(newest), "line 49 of twenty\n") {
		t.Fatalf("%q %v", newest, err)
	}
}

// FuzzFile reads any bytes as config.toml: a configuration, or a problem with
// the file's name, and never a crash.
func FuzzFile(f *testing.F) {
	for _, text := range []string{"", "network = \"lan\"\n", "relay = [\"/ip4/127.0.0.1/tcp/1/p2p/A\"]\n", "[x]\n", "\"a b\" = 1", "max_disk = 1", "http = \"[::1]:0\"", "log_level = \"DEBUG+3\""} {
		f.Add([]byte(text))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, "config.toml"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, settings, err := Load(Sources{Profile: dir, Getenv: env()})
		if err != nil {
			if p := problem.From(err); p.Exit != problem.ExitConfig || !strings.Contains(err.Error(), "config.toml") {
				t.Fatalf("%v", err)
			}
			return
		}
		if cfg.Network == "" || cfg.MaxDisk < 0 || len(settings) != len(keys()) {
			t.Fatalf("%+v", cfg)
		}
	})
}

func TestAFileThatMayNotBeReadIsNoBadConfiguration(t *testing.T) {
	if runtime.GOOS == "windows" || os.Getuid() == 0 {
		t.Skip("this user may read everything")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), nil, 0); err != nil {
		t.Fatal(err)
	}
	_, _, err := Load(Sources{Getenv: func(string) string { return "" }, Profile: dir})
	if e := problem.From(err); e == nil || e.Code != problem.NotPermitted || e.Exit != problem.ExitPermission {
		t.Errorf("%v", err)
	}
}

// A list of peers to start from lies beside config.toml, may have remarks, and is read whatever
// said where it is. A mistake in it is named with its line.
// The example that operators of relays begin with names every setting of a relay, and what holds without it.
func TestTheExampleForRelays(t *testing.T) {
	b, err := os.ReadFile("../../assets/relay/config.toml")
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`(?m)^#([a-z_]+ = )`).ReplaceAllString(string(b), "$1")
	_, said, err := Load(Sources{Profile: profile(t, all), Getenv: env()})
	if err != nil {
		t.Fatal(err)
	}
	_, usual, err := Load(Sources{Profile: t.TempDir(), Getenv: env()})
	if err != nil {
		t.Fatal(err)
	}
	ofAccounts := []string{"relay", "private_routing", "choose_relays", "read_receipts", "typing"}
	for i, s := range said {
		switch {
		case slices.Contains(ofAccounts, s.Key):
		case !strings.Contains(all, s.Key+" = "):
			t.Errorf("%s is not in it", s.Key)
		case len(usual[i].Values) > 0 && !slices.Equal(s.Values, usual[i].Values):
			t.Errorf("%s is %q in it, and %q without", s.Key, s.Values, usual[i].Values)
		}
	}
}

func TestTheListOfPeers(t *testing.T) {
	dir := profile(t, `bootstrap = "peers.txt"`+"\n")
	list := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "peers.txt"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const one, two = "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWone", "/ip4/127.0.0.1/tcp/2/p2p/12D3KooWtwo"
	list("# people whom we trust\n\n" + one + " # at home\n  " + two + "\r\n" + one + "\n")
	for _, s := range []Sources{
		{Profile: dir, Getenv: env()},
		{Profile: dir, Getenv: env("GODWIT_BOOTSTRAP", filepath.Join(dir, "peers.txt"))},
		{Profile: dir, Getenv: env(), Flags: map[string][]string{"bootstrap": {filepath.Join(dir, "peers.txt")}}},
	} {
		c, _, err := Load(s)
		if err != nil || !slices.Equal(c.Listed, []string{one, two}) || c.Peers != nil {
			t.Errorf("%v lists %q (%v)", s.Flags, c.Listed, err)
		}
	}
	for text, want := range map[string]string{
		one + "\n127.0.0.1:4001\n":     "peers.txt:2: ",
		"/ip4/127.0.0.1/tcp/1":         "lacks the peer's id",
		strings.Repeat("#\n", 600_000): "more than",
		strings.Repeat("#", 100_000):   "peers.txt: ",
	} {
		list(text)
		if _, _, err := Load(Sources{Profile: dir, Getenv: env()}); !errors.Is(err, problem.ConfigValue) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "peers.txt")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Load(Sources{Profile: dir, Getenv: env()}); !errors.Is(err, problem.ConfigValue) {
		t.Errorf("a list that is not there: %v", err)
	}
}
