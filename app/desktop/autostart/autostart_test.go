package autostart

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// program is a program in a home of the test's own.
func program(t *testing.T) Program {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("this would change the registry of who runs the test")
	}
	home := t.TempDir()
	return Program{
		ID: "im.godwit.desktop", Name: "Godwit", Path: "/opt/Göd wit/100% $HOME/godwit-desktop", Args: []string{"--tray"},
		Getenv: func(k string) string { return map[string]string{"HOME": home}[k] },
	}
}

func TestStartedAtLogin(t *testing.T) {
	p := program(t)
	for _, on := range []bool{false, true, true, false, false} {
		if err := p.SetAtLogin(on); err != nil {
			t.Fatal(err)
		}
		if got, err := p.AtLogin(); err != nil || got != on {
			t.Errorf("switched %v, is %v, %v", on, got, err)
		}
	}
}

func TestGodwitLinksAreOpened(t *testing.T) {
	if runtime.GOOS == "darwin" {
		t.Skip("the bundle says it")
	}
	p := program(t)
	list := filepath.Join(p.Getenv("HOME"), ".config", "mimeapps.list")
	const others = "[Added Associations]\nx-scheme-handler/godwit=other.desktop;\n\n[Default Applications]\ntext/html=browser.desktop\n"
	if err := write(list, others); err != nil {
		t.Fatal(err)
	}
	for _, on := range []bool{true, true, false, false} {
		if err := p.SetOpensLinks(on); err != nil {
			t.Fatal(err)
		}
		if got, err := p.OpensLinks(); err != nil || got != on {
			t.Errorf("switched %v, is %v, %v", on, got, err)
		}
	}
	if got, err := read(list); err != nil || got != others {
		t.Errorf("of the person's choices is left:\n%s%v", got, err)
	}
}

// What the person chose instead is not taken away by switching ours off.
func TestAnotherProgramsLinksStay(t *testing.T) {
	p := program(t)
	list := filepath.Join(p.Getenv("HOME"), ".config", "mimeapps.list")
	const chosen = "[Default Applications]\nx-scheme-handler/godwit=other.desktop\n"
	if err := write(list, chosen); err != nil {
		t.Fatal(err)
	}
	if err := p.SetOpensLinks(false); err != nil {
		t.Fatal(err)
	}
	if got, err := read(list); err != nil || got != chosen {
		t.Errorf("%s%v", got, err)
	}
}

func TestTheDesktopSwitchedItOff(t *testing.T) {
	p := program(t)
	if err := p.SetAtLogin(true); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "darwin" {
		t.Skip("macOS keeps that elsewhere")
	}
	file := filepath.Join(p.Getenv("HOME"), ".config", "autostart", p.ID+".desktop")
	text, err := read(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"Hidden=true", "X-GNOME-Autostart-enabled=false"} {
		if err := write(file, strings.Replace(text, "X-GNOME-Autostart-enabled=true", line, 1)); err != nil {
			t.Fatal(err)
		}
		if on, err := p.AtLogin(); on || err != nil {
			t.Errorf("%s: %v, %v", line, on, err)
		}
	}
}

func TestPathsThatMeanSomethingElse(t *testing.T) {
	for _, path := range []string{"", "godwit-desktop", "./x", "/opt/a\nExec=/bin/sh", "/opt/\"x", "/opt/\x1b"} {
		p := program(t)
		p.Path = path
		if err := errors.Join(p.SetAtLogin(true), p.SetOpensLinks(true)); !errors.Is(err, ErrPath) {
			t.Errorf("%q: %v", path, err)
		}
		if entries, err := os.ReadDir(p.Getenv("HOME")); err != nil || len(entries) > 0 {
			t.Errorf("%q: %v was written, %v", path, entries, err)
		}
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"/usr/bin/godwit-desktop": "/usr/bin/godwit-desktop",
		"/opt/my apps/x":          `"/opt/my apps/x"`,
		"/opt/100%/x":             "/opt/100%%/x",
		"/opt/$HOME`id`\\x":       "\"/opt/\\$HOME\\`id\\`\\\\x\"",
		"/opt/x;rm -rf ~":         `"/opt/x;rm -rf ~"`,
		"/opt/ü":                  `"/opt/ü"`,
	} {
		if got := quote(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestSetDefault(t *testing.T) {
	const ours = "im.godwit.desktop.desktop"
	for _, c := range []struct{ list, file, want string }{
		{"", ours, "[Default Applications]\nx-scheme-handler/godwit=" + ours + "\n"},
		{"", "", ""},
		{"# mine\n[Default Applications]\na=b", ours, "# mine\n[Default Applications]\nx-scheme-handler/godwit=" + ours + "\na=b\n"},
		{"[Default Applications]\n x-scheme-handler/godwit = other.desktop\n[X]\nx-scheme-handler/godwit=y\n", ours, "[Default Applications]\nx-scheme-handler/godwit=" + ours + "\n[X]\nx-scheme-handler/godwit=y\n"},
		{"[X]\n", ours, "[X]\n[Default Applications]\nx-scheme-handler/godwit=" + ours + "\n"},
	} {
		got := setDefault(c.list, linkType, c.file)
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.list, got, c.want)
		}
		if d := defaultOf(got, linkType); d != c.file {
			t.Errorf("%q has links opened by %q", got, d)
		}
	}
}

// desktop-file-validate has read the specification more closely than we have.
func TestDesktopFilesAreValid(t *testing.T) {
	validate, err := exec.LookPath("desktop-file-validate")
	if err != nil {
		t.Skip("desktop-file-validate is not installed: the desktop files were not judged")
	}
	p := program(t)
	for name, text := range map[string]string{"links": DesktopFile(p), "autostart": autostartFile(p)} {
		file := filepath.Join(t.TempDir(), p.ID+".desktop")
		if err := write(file, text); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(validate, file).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %s%v", name, out, err)
		}
	}
}

// The desktop file that is installed is the one that is registered by hand, of a program that is on the path.
func TestTheInstalledDesktopFile(t *testing.T) {
	installed, err := read("../../../assets/desktop/im.godwit.desktop.desktop")
	if err != nil {
		t.Fatal(err)
	}
	if want := DesktopFile(Program{ID: "im.godwit.desktop", Name: "Godwit", Path: "godwit-desktop"}); installed != want {
		t.Errorf("assets/desktop has\n%s\nand it should be\n%s", installed, want)
	}
}

func TestLaunchAgent(t *testing.T) {
	p := Program{ID: "im.godwit.desktop", Path: "/Applications/<Godwit> & co", Args: []string{"--tray"}}
	text := launchAgent(p)
	var got struct {
		Strings   []string `xml:"dict>string"`
		Arguments []string `xml:"dict>array>string"`
	}
	if err := xml.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Arguments) != 2 || got.Arguments[0] != p.Path || got.Arguments[1] != "--tray" || got.Strings[0] != p.ID {
		t.Errorf("%+v", got)
	}
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
