package desktop

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// installer runs targets of the Makefile with two programs that only pretend.
func installer(t *testing.T, root string) func(target string) {
	t.Helper()
	tool, err := exec.LookPath("make")
	if err != nil {
		t.Skip("make is not here: nothing was installed")
	}
	bin := t.TempDir()
	for _, name := range []string{"godwit", "godwit-desktop"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\necho \"$@\"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return func(target string) {
		t.Helper()
		cmd := exec.Command(tool, "--no-print-directory", "--assume-old=build", "--assume-old=desktop", target, "BIN="+bin, "DESTDIR="+root, "PREFIX=/opt/godwit")
		cmd.Dir = "../.."
		cmd.Env = append(os.Environ(), "MAKEFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("make %s: %v\n%s", target, err, out)
		}
	}
}

// files lists the files below a directory.
func files(t *testing.T, root string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		list = append(list, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestInstallAndUninstall(t *testing.T) {
	root := t.TempDir()
	run := installer(t, root)
	run("install")
	got := files(t, filepath.Join(root, "opt", "godwit"))
	for _, want := range []string{
		"bin/godwit", "bin/godwit-desktop", "share/applications/im.godwit.desktop.desktop",
		"share/icons/hicolor/16x16/apps/im.godwit.desktop.png", "share/icons/hicolor/512x512/apps/im.godwit.desktop.png", "share/icons/hicolor/scalable/apps/im.godwit.desktop.svg",
		"share/man/man1/godwit.1", "share/man/man1/godwit-desktop.1",
		"share/bash-completion/completions/godwit", "share/zsh/site-functions/_godwit", "share/fish/vendor_completions.d/godwit.fish",
		"share/doc/godwit/LICENSE", "share/doc/godwit/THIRD_PARTY.md", "share/doc/godwit/OFL.txt",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%s was not installed", want)
		}
	}
	if zsh, err := os.ReadFile(filepath.Join(root, "opt/godwit/share/zsh/site-functions/_godwit")); err != nil || string(zsh) != "completion zsh\n" {
		t.Errorf("the completion of zsh is %q, %v", zsh, err)
	}
	if all := files(t, root); len(all) != len(got) {
		t.Errorf("outside of the prefix: %v", all)
	}
	if validate, err := exec.LookPath("desktop-file-validate"); err == nil {
		if out, err := exec.Command(validate, filepath.Join(root, "opt/godwit/share/applications/im.godwit.desktop.desktop")).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("desktop-file-validate: %s%v", out, err)
		}
	}
	if man, err := exec.LookPath("man"); err == nil {
		out, err := exec.Command(man, "--warnings", "-l", filepath.Join(root, "opt/godwit/share/man/man1/godwit-desktop.1")).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "SEE ALSO") || strings.Contains(string(out), "warning") {
			t.Errorf("godwit-desktop(1): %v\n%s", err, out)
		}
	}

	other := filepath.Join(root, "opt", "godwit", "bin", "another")
	if err := os.WriteFile(other, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	run("uninstall")
	if left := files(t, root); len(left) != 1 || left[0] != "opt/godwit/bin/another" {
		t.Errorf("left: %v", left)
	}
	run("uninstall") // what is not there any more is no error
}
