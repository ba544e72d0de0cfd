package main

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/identity/vault"
)

// form is one way to write something down.
type form struct {
	name  string
	bytes []byte
}

// forms are the ways in which bytes may be found in a file: as they are, as UTF-16,
// and in the usual encodings wherever in a longer text they begin.
func forms(b []byte) (list []form) {
	add := func(name string, b []byte) { list = append(list, form{name, b}) }
	add("as it is", b)
	for _, big := range []int{0, 1} {
		var wide []byte
		for _, u := range utf16.Encode([]rune(string(b))) {
			pair := []byte{byte(u), byte(u >> 8)}
			wide = append(wide, pair[big], pair[1-big])
		}
		add("UTF-16", wide)
	}
	add("hexadecimal", []byte(hex.EncodeToString(b)))
	add("hexadecimal", []byte(strings.ToUpper(hex.EncodeToString(b))))
	// What lies before and after shares characters with the first and last bytes;
	// those in between are always the same.
	inner := func(encode func([]byte) string, group, chars, at int) []byte {
		text := encode(append(make([]byte, at), b...))
		from, to := (at*chars+group-1)/group, (at+len(b))*chars/group
		return []byte(text[from:to])
	}
	for at := range 3 {
		add("base64", inner(base64.RawStdEncoding.EncodeToString, 3, 4, at))
		add("base64 for URLs", inner(base64.RawURLEncoding.EncodeToString, 3, 4, at))
	}
	for at := range 5 {
		for _, e := range []*base32.Encoding{base32.StdEncoding, base32.HexEncoding} {
			text := inner(e.WithPadding(base32.NoPadding).EncodeToString, 5, 8, at)
			add("base32", text)
			add("base32", bytes.ToLower(text))
		}
	}
	return list
}

// secret is something that must not be on a disk.
type secret struct {
	what  string
	parts [][]byte // any of which gives it away
}

// words are a secret text. It may lie across two pages of a file, so its beginning
// and its end are looked for.
func words(what, text string) secret {
	const part = 14
	return secret{what, [][]byte{[]byte(text[:part]), []byte(text[len(text)-part:])}}
}

// key is a secret of bytes.
func key(what string, b []byte) secret { return secret{what, [][]byte{b}} }

// reveal finds secrets in all files below a directory, and says in how many it
// looked.
func reveal(t *testing.T, dir string, secrets ...secret) (found []string, files int) {
	t.Helper()
	type needle struct {
		what string
		form
	}
	var needles []needle
	for _, s := range secrets {
		for _, p := range s.parts {
			for _, f := range forms(p) {
				needles = append(needles, needle{s.what, f})
			}
		}
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was just removed
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		files++
		for _, n := range needles {
			if bytes.Contains(b, n.bytes) {
				found = append(found, fmt.Sprintf("%s, %s, in %s", n.what, n.name, path))
			}
		}
		return err
	})
	check(t, err)
	return found, files
}

// What is found is found: each form of a secret in the middle of a file.
func TestRevealFindsEachForm(t *testing.T) {
	const text = "a secret that somebody wrote down in the middle of something else"
	for i, f := range forms([]byte(text)) {
		dir := t.TempDir()
		content := append(append(make([]byte, 4091), f.bytes...), "and more"...)
		check(t, os.WriteFile(filepath.Join(dir, "file"), content, 0o600))
		if found, _ := reveal(t, dir, words("it", text)); len(found) == 0 {
			t.Errorf("form %d, %s: %q is not found", i, f.name, f.bytes)
		}
	}
	for before := range 5 {
		for _, encode := range []func([]byte) string{base64.StdEncoding.EncodeToString, base32.StdEncoding.EncodeToString, hex.EncodeToString} {
			dir := t.TempDir()
			check(t, os.WriteFile(filepath.Join(dir, "file"), []byte(encode([]byte(strings.Repeat("x", before)+text+"."))), 0o600))
			if found, _ := reveal(t, dir, words("it", text)); len(found) == 0 {
				t.Errorf("not found after %d bytes in %s", before, encode([]byte(text)))
			}
		}
	}
	if found, _ := reveal(t, t.TempDir(), words("it", text)); len(found) > 0 {
		t.Errorf("found in nothing: %q", found)
	}
}

// TestNothingReadableOnDisk looks through everything that two nodes and a relay
// write, while they run, after a kill and after an end in order: database, WAL,
// temporary files, logs. There is no text of a message, no name; at the relay no
// account and no device, in its log and in those of the nodes no id and no address; and in what
// it shows of itself, its page, metrics and status, nobody who was there.
func TestNothingReadableOnDisk(t *testing.T) {
	tmp := t.TempDir()
	for _, name := range []string{"TMPDIR", "HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"} {
		t.Setenv(name, tmp)
	}
	ctx, w := faultWorld(t)
	const (
		winnie, bart  = "Wilhelmine Sonnenschein", "Bartholomew Quillfeather"
		petname       = "The bard from Brixton"
		first, second = "The heron flies at midnight, said with the first flight", "Delivered directly: the ferry leaves from pier seventeen"
		third, fourth = "Kept at the relay: my grandmother's recipe wants nutmeg", "An answer out of the WAL: bring the violin and the maps"
	)
	for profile, name := range map[string]string{"one": winnie, "two": bart} {
		out, err := w.command(ctx, "--profile", filepath.Join(w.dir, profile), "init", "--name", name).Output()
		if err != nil {
			t.Fatal(withStderr(err, out))
		}
	}
	relay, err := w.start(ctx, "relay", "relay", "--data", filepath.Join(w.dir, "relay"), "--listen", "/ip4/127.0.0.1/tcp/0", "--http", "127.0.0.1:0")
	check(t, err)
	flags := []string{"--relay", relay.ready.Addrs[0]}
	one, err := w.startNode(ctx, "one", flags...)
	check(t, err)
	two, err := w.startNode(ctx, "two", append(flags, "-v")...) // who wants to be told everything
	check(t, err)

	secrets := []secret{words("a name", winnie), words("a name", bart), words("a petname", petname),
		words("the first message", first), words("the second message", second), words("the third message", third), words("the fourth message", fourth)}
	accounts := []secret{key("an account", []byte(one.ready.Account)), key("an account", []byte(two.ready.Account))}
	var peers []secret
	for _, p := range []*process{one, two} {
		id, err := identity.ParseAccountID(p.ready.Account)
		check(t, err)
		s, err := p.client.Status(ctx, api.StatusRequest{})
		check(t, err)
		device, err := identity.ParseAccountID(s.Device) // the same form
		check(t, err)
		accounts = append(accounts, key("an account", id[:]), key("a device", device[:]), key("a device", []byte(s.Device)))
		peers = append(peers, key("a PeerID", []byte(p.ready.Peer)))
	}
	shown := slices.Clone(peers) // not to be, of those who are people
	for _, p := range []*process{one, two} {
		shown = append(shown, key("an address", []byte(p.ready.Addrs[0])))
	}
	peers = append(peers, key("a PeerID", []byte(relay.ready.Peer)), key("an address", []byte("127.0.0.1")), key("an address", []byte("/ip4/")))
	looked := 0
	look := func(when string) {
		t.Helper()
		hidden := func(where string, secrets ...secret) {
			t.Helper()
			found, files := reveal(t, where, secrets...)
			for _, f := range found {
				t.Errorf("%s: %s", when, f)
			}
			if looked += files; files == 0 {
				t.Errorf("%s: there is nothing at %s", when, where)
			}
		}
		hidden(tmp, secrets...)
		hidden(filepath.Join(w.dir, "relay"), accounts...)
		// Logs of those who were not asked to say everything.
		logs := filepath.Join(t.TempDir(), "logs")
		check(t, os.Mkdir(logs, 0o700))
		for _, name := range []string{"one.log", "relay.log", "one/godwit.log", "two/godwit.log"} {
			b, err := os.ReadFile(filepath.Join(w.dir, name))
			check(t, err)
			check(t, os.WriteFile(filepath.Join(logs, strings.ReplaceAll(name, "/", "-")), b, 0o600))
		}
		hidden(logs, append(accounts, peers...)...)
	}

	// What the relay shows of itself.
	ask := func(when string) {
		t.Helper()
		dir := t.TempDir()
		for _, path := range []string{"", "metrics", "healthz", "readyz"} {
			res, err := http.Get("http://" + relay.ready.HTTP + "/" + path)
			check(t, err)
			b, err := io.ReadAll(res.Body)
			check(t, errors.Join(err, res.Body.Close()))
			check(t, os.WriteFile(filepath.Join(dir, "shown-"+path), b, 0o600))
		}
		b, err := w.command(ctx, "relay", "status", "--data", filepath.Join(w.dir, "relay"), "--json").Output()
		check(t, err)
		if !bytes.Contains(b, []byte("deposits")) {
			t.Errorf("%s: the relay's status says nothing: %s", when, b)
		}
		check(t, os.WriteFile(filepath.Join(dir, "status"), b, 0o600))
		found, _ := reveal(t, dir, slices.Concat(secrets, accounts, shown)...)
		for _, f := range found {
			t.Errorf("%s the relay shows %s", when, f)
		}
	}

	invitation, err := one.client.Invite(ctx, api.InviteRequest{})
	check(t, err)
	_, err = two.client.Accept(ctx, api.AcceptRequest{Link: invitation.Link, Message: first})
	check(t, err)
	check(t, one.knows(ctx, two.ready.Account))
	_, err = one.client.RenameContact(ctx, api.RenameRequest{Contact: bart, Name: petname})
	check(t, err)
	check(t, one.delivered(ctx, petname, second))
	look("while both run")
	ask("while both run")
	check(t, two.kill())
	s, err := one.client.Send(ctx, api.SendRequest{Contact: petname, Text: third, Wait: api.Kept, Timeout: api.Duration(faultTime)})
	check(t, err)
	if s.State != api.Kept {
		t.Fatalf("the third message is %s: %s", s.State, s.Reason)
	}
	look("while one is killed and the relay keeps a message")
	ask("while it keeps a message")
	two, err = w.startNode(ctx, "two", append(flags, "-v")...)
	check(t, err)
	check(t, two.has(ctx, winnie, third))
	check(t, two.delivered(ctx, winnie, fourth))
	check(t, relay.kill())
	check(t, one.kill())
	look("after two were killed")
	check(t, two.stop())
	look("after an end in order")
	t.Logf("looked into %d files", looked)

	left, err := os.ReadDir(tmp)
	check(t, err)
	for _, e := range left {
		if filepath.Join(tmp, e.Name()) != w.dir && !strings.HasPrefix(e.Name(), "Test") { // t.TempDir is here too
			t.Errorf("left behind: %s", e.Name())
		}
	}
}

// TestCopiedProfile: a profile that was copied without its key does not open, and
// says why.
func TestCopiedProfile(t *testing.T) {
	ctx, w := faultWorld(t)
	node, err := w.startNode(ctx, "anna")
	check(t, err)
	check(t, node.kill())
	from, to := filepath.Join(w.dir, "anna"), filepath.Join(w.dir, "copy")
	check(t, os.Mkdir(to, 0o700))
	names, err := os.ReadDir(from)
	check(t, err)
	for _, e := range names {
		if e.Type().IsRegular() {
			b, err := os.ReadFile(filepath.Join(from, e.Name()))
			check(t, err)
			check(t, os.WriteFile(filepath.Join(to, e.Name()), b, 0o600))
		}
	}
	status := func() (string, string) {
		var stderr bytes.Buffer
		cmd := w.command(ctx, "--profile", to, "status")
		cmd.Stderr = &stderr
		return exitStatus(cmd.Run()), stderr.String()
	}
	if exit, stderr := status(); exit != "0" {
		t.Fatalf("a whole copy does not open: exit %s, %s", exit, stderr)
	}
	key := filepath.Join(to, vault.KeyFileName)
	own, err := os.ReadFile(key)
	check(t, err)
	check(t, os.Remove(key))
	if exit, stderr := status(); exit != fmt.Sprint(problem.ExitPermission) || !strings.Contains(stderr, string(problem.KeyMissing)) {
		t.Errorf("a copy without its key: exit %s, %s", exit, stderr)
	}
	// The key of another profile is none.
	other, err := w.startNode(ctx, "other")
	check(t, err)
	check(t, other.kill())
	b, err := os.ReadFile(filepath.Join(w.dir, "other", vault.KeyFileName))
	check(t, err)
	check(t, os.WriteFile(key, b, 0o600))
	if exit, stderr := status(); exit != fmt.Sprint(problem.ExitPermission) || !strings.Contains(stderr, string(problem.KeyMissing)) {
		t.Errorf("a copy with another's key: exit %s, %s", exit, stderr)
	}
	check(t, os.WriteFile(key, own, 0o600))
	if exit, stderr := status(); exit != "0" {
		t.Errorf("a copy with its key again: exit %s, %s", exit, stderr)
	}
}
