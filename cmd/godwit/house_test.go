package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"github.com/godwit-im/godwit/app/config"
)

var update = flag.Bool("update", false, "write the files that tests compare")

func TestOneVersionEverywhere(t *testing.T) {
	root := repository(t)
	var fyne struct {
		Details struct{ ID, Version string }
	}
	if _, err := toml.DecodeFile(filepath.Join(root, "FyneApp.toml"), &fyne); err != nil {
		t.Fatal(err)
	}
	if fyne.Details.Version != config.Version || fyne.Details.ID != "im.godwit.desktop" {
		t.Errorf("FyneApp.toml: %+v, the program is %s", fyne.Details, config.Version)
	}
	changes, err := os.ReadFile(filepath.Join(root, "CHANGELOG.md"))
	if err != nil {
		t.Fatal(err)
	}
	newest := regexp.MustCompile(`(?m)^## (\S+)`).FindSubmatch(changes)
	if newest == nil || string(newest[1]) != config.Version {
		t.Errorf("CHANGELOG.md starts with %q, the program is %s", newest, config.Version)
	}
}

// The specifications and files that README.md and CONTRIBUTING.md point at are
// there.
func TestLinksOfTheReadmeLeadSomewhere(t *testing.T) {
	root := repository(t)
	link := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	for _, name := range []string{"README.md", "CONTRIBUTING.md"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(root, string(m[1]))); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// THIRD_PARTY.md lists every module that the program links on any system, with
// the licence that its own files state. `make generate` writes it anew.
func TestThirdParty(t *testing.T) {
	root := repository(t)
	want := thirdParty(t, root)
	path := filepath.Join(root, "THIRD_PARTY.md")
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("THIRD_PARTY.md is not what go.mod says: run `make generate`")
	}
}

// linked is a module that is linked into the program.
type linked struct{ path, version, dir string }

func thirdParty(t *testing.T, root string) []byte {
	t.Helper()
	modules := map[string]linked{}
	for _, system := range []string{"linux", "windows", "darwin"} {
		cmd := exec.Command("go", "list", "-tags", "no_emoji", "-deps", "-f", `{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}`, "./cmd/...")
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=1", "GOARCH=amd64", "GOOS="+system) // the window has parts in C; listing compiles none
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(withStderr(err, out))
		}
		lines := bufio.NewScanner(bytes.NewReader(out))
		for lines.Scan() {
			if f := strings.SplitN(lines.Text(), " ", 3); len(f) == 3 {
				modules[f[0]] = linked{f[0], f[1], f[2]}
			}
		}
	}
	var b bytes.Buffer
	b.WriteString("# What Godwit is built from\n\nMade from go.mod by `make generate`: the modules that are linked into the programs on any system, and the\nlicence that each states. The Go standard library is BSD-3-Clause. Fonts and emoji are built in too: assets/fonts/README.md,\nassets/emoji/README.md.\n\n| module | version | licence |\n|---|---|---|\n")
	for _, path := range slices.Sorted(maps.Keys(modules)) {
		m := modules[path]
		licence := licenceOf(m.dir)
		if licence == "" {
			t.Errorf("%s: nobody has read its licence yet; teach licenceOf what %s says", path, m.dir)
		}
		fmt.Fprintf(&b, "| [%s](https://pkg.go.dev/%s@%s) | %s | %s |\n", path, path, m.version, m.version, licence)
	}
	return b.Bytes()
}

// licenceOf reads a module's licence files and names what they say, by SPDX. It
// is empty where it is not one that we know and may link.
func licenceOf(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	found := map[string]bool{}
	for _, e := range entries {
		name := strings.ToUpper(e.Name())
		if e.IsDir() || !strings.HasPrefix(name, "LICENSE") && !strings.HasPrefix(name, "LICENCE") && !strings.HasPrefix(name, "COPYING") && !strings.HasPrefix(name, "UNLICENSE") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return ""
		}
		if id := spdx(strings.Join(strings.Fields(string(text)), " ")); id != "" {
			found[id] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(found)), " and ")
}

// spdx names a licence by words that only it has. A text with several, as of a
// module with parts by others, names the first.
func spdx(text string) string {
	for _, l := range []struct{ id, words string }{
		{"Apache-2.0 or MIT", "the `Permissive License Stack`, meaning either of: - Apache-2.0 Software License"},
		{"Apache-2.0", "Apache License Version 2.0"},
		{"Apache-2.0", "http://www.apache.org/licenses/LICENSE-2.0"},
		{"MPL-2.0", "Mozilla Public License, version 2.0"},
		{"MPL-2.0", "Mozilla Public License Version 2.0"},
		{"MIT", "Permission is hereby granted, free of charge, to any person obtaining a copy"},
		{"BSD-3-Clause", "may be used to endorse or promote products"},
		{"BSD-2-Clause", "Redistributions in binary form must reproduce the above copyright notice"},
		{"ISC", "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee"},
		{"ISC", "Permission to use, copy, modify, and distribute this software for any purpose with or without fee"},
		{"CC0-1.0", "CC0 1.0 Universal"},
		{"Unlicense", "This is free and unencumbered software released into the public domain"},
	} {
		if strings.Contains(text, l.words) {
			return l.id
		}
	}
	return ""
}
