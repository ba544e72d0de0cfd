package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/godwit-im/godwit/app/problem"
)

// A program changes what it was told to, and nothing else that the person wrote.
func TestChange(t *testing.T) {
	for _, c := range []struct {
		before, after string
		code          problem.Code // of why it cannot be changed; empty: it can
	}{
		{"", "read_receipts = \"off\"\ntyping = \"on\"\n", ""},
		{"# mine\nnetwork = \"lan\" # at home", "# mine\nnetwork = \"lan\" # at home\nread_receipts = \"off\"\ntyping = \"on\"\n", ""},
		{"typing = 'off' # why\n\nread_receipts=\"on\"\nnetwork = \"lan\"\n", "typing = \"on\" # why\n\nread_receipts=\"off\"\nnetwork = \"lan\"\n", ""},
		{"# typing = \"off\"\n", "# typing = \"off\"\nread_receipts = \"off\"\ntyping = \"on\"\n", ""},
		{"typing = \"\"\"off\"\"\"\n", "", problem.ConfigSyntax},
		{"typing = \n", "", problem.ConfigSyntax},
		{"tpying = \"on\"\n", "", problem.ConfigUnknown},
	} {
		path := filepath.Join(t.TempDir(), "config.toml")
		if c.before != "" {
			if err := os.WriteFile(path, []byte(c.before), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		err := Change(path, map[string]string{"typing": "on", "read_receipts": "off"})
		if c.code != "" {
			text, rerr := os.ReadFile(path)
			if !errors.Is(err, c.code) || rerr != nil || string(text) != c.before {
				t.Errorf("%q: %v, and it became %q", c.before, err, text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", c.before, err)
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil || string(text) != c.after {
			t.Errorf("%q became %q, %v; want %q", c.before, text, err, c.after)
		}
		cfg, _, err := Load(Sources{Profile: filepath.Dir(path), Getenv: env()})
		if err != nil || !cfg.Typing || cfg.ReadReceipts {
			t.Errorf("%q is read as %+v, %v", text, cfg, err)
		}
	}
	if cfg, _, err := Load(Sources{Profile: t.TempDir(), Getenv: env()}); err != nil || cfg.Typing || !cfg.ReadReceipts {
		t.Errorf("the defaults are %+v, %v", cfg, err)
	}
	if err := Change(filepath.Join(t.TempDir(), "none", "config.toml"), map[string]string{"typing": "on"}); err == nil {
		t.Error("a file in no directory was changed")
	}
}
