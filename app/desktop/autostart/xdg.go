package autostart

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// linkType is the type of our links (shared-mime-info, x-scheme-handler).
const linkType = "x-scheme-handler/godwit"

// DesktopFile is the desktop file of a program (Desktop Entry Specification). What
// it starts gets a link as one argument, after --, so that no link can be a flag.
func DesktopFile(p Program) string {
	return entry(p, nil, "%u", "GenericName=Messenger", "Keywords=chat;message;messenger;private;peer-to-peer;", "Categories=Network;InstantMessaging;Chat;P2P;", "MimeType="+linkType+";")
}

// autostartFile is the desktop file of the session's autostart (Desktop Application
// Autostart Specification 0.5).
func autostartFile(p Program) string { return entry(p, p.Args, "", "X-GNOME-Autostart-enabled=true") }

func entry(p Program, args []string, field string, more ...string) string {
	words := []string{quote(p.Path)}
	for _, a := range args {
		words = append(words, quote(a))
	}
	if field != "" {
		words = append(words, "--", field)
	}
	lines := append([]string{
		"[Desktop Entry]", "Type=Application", "Version=1.0", "Name=" + escape(p.Name), "Comment=A messenger without servers",
		"Exec=" + escape(strings.Join(words, " ")), "Icon=" + p.ID, "Terminal=false", "StartupNotify=true", "StartupWMClass=" + p.Name,
	}, more...)
	return strings.Join(lines, "\n") + "\n"
}

// quote is an argument of Exec: in quotation marks if it has more than plain characters,
// with a backslash before what means something inside them, and a doubled percent sign.
func quote(s string) string {
	s = strings.ReplaceAll(s, "%", "%%")
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+=:,@%", r)
	}
	if strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, "`", "\\`", "$", `\$`, `"`, `\"`).Replace(s) + `"`
}

// escape is a value of type string.
func escape(s string) string { return strings.ReplaceAll(s, `\`, `\\`) }

// xdgDir is a directory of the XDG Base Directory Specification 0.8.
func xdgDir(getenv func(string) string, name, fallback string) (string, error) {
	if d := getenv(name); filepath.IsAbs(d) {
		return d, nil
	}
	home := getenv("HOME")
	if !filepath.IsAbs(home) {
		return "", errors.New("autostart: HOME is not set")
	}
	return filepath.Join(home, fallback), nil
}

// write replaces a file whole, and makes its directory.
func write(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("autostart: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("autostart: %w", err)
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("autostart: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// remove removes a file that may not be there.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("autostart: %w", err)
	}
	return nil
}

// read reads a file that may not be there.
func read(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("autostart: %w", err)
	}
	return string(text), nil
}

// The group of mimeapps.list that names what opens a type (MIME Applications
// Associations Specification 1.0.1).
const defaults = "[Default Applications]"

// setDefault has a type opened by a desktop file, or by none that the person chose if
// that is empty, and leaves every other line of a mimeapps.list as it is.
func setDefault(list, mime, file string) string {
	var out []string
	inside, done := false, file == ""
	add := func() {
		if inside && !done {
			out = append(out, mime+"="+file)
			done = true
		}
	}
	for line := range strings.Lines(list) {
		line = strings.TrimSuffix(line, "\n")
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "["):
			inside = trimmed == defaults
			out = append(out, line)
			add()
			continue
		case inside && keyOf(trimmed) == mime:
			continue // ours was written at the group's start
		}
		out = append(out, line)
	}
	if !done {
		out = append(out, defaults, mime+"="+file)
	}
	if len(out) == 0 {
		return ""
	}
	return strings.Join(out, "\n") + "\n"
}

// defaultOf is the desktop file that a mimeapps.list has a type opened by.
func defaultOf(list, mime string) string {
	inside := false
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			inside = line == defaults
		}
		if inside && keyOf(line) == mime {
			_, value, _ := strings.Cut(line, "=")
			first, _, _ := strings.Cut(strings.TrimSpace(value), ";")
			return first
		}
	}
	return ""
}

func keyOf(line string) string {
	key, _, ok := strings.Cut(line, "=")
	if !ok {
		return ""
	}
	return strings.TrimSpace(key)
}
