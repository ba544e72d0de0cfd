// Package autostart registers the desktop program with the person's session, at the
// person's wish and for them alone: to be started when they log in, and to be what
// godwit: links open. It writes the files, or keys, that each system specifies, and
// runs no other program for it.
package autostart

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
)

// Program is what is registered.
type Program struct {
	// ID names the program to the system: the name of its desktop file without
	// .desktop, its bundle identifier.
	ID string
	// Name is what people call it.
	Name string
	// Path is the absolute path of the program file (os.Executable).
	Path string
	// Args are given at login, such as the one that starts it in the tray.
	Args []string
	// Getenv is os.Getenv, or a test's own.
	Getenv func(string) string
}

// ErrPath says that a program cannot be registered where it lies.
var ErrPath = errors.New("autostart: the program's path cannot be registered")

// check refuses what no file of a session could hold without meaning something else.
func (p Program) check() error {
	if !filepath.IsAbs(p.Path) {
		return fmt.Errorf("%w: %q is not absolute", ErrPath, p.Path)
	}
	for _, s := range append([]string{p.Path, p.Name, p.ID}, p.Args...) {
		if s == "" || strings.ContainsFunc(s, unicode.IsControl) || strings.Contains(s, `"`) {
			return fmt.Errorf("%w: %q", ErrPath, s)
		}
	}
	return nil
}

// AtLogin says whether the program is started at login.
func (p Program) AtLogin() (bool, error) { return p.atLogin() }

// SetAtLogin has the program started at login, or no longer.
func (p Program) SetAtLogin(on bool) error {
	if err := p.check(); err != nil {
		return err
	}
	return p.setAtLogin(on)
}

// OpensLinks says whether this person's godwit: links are opened by the program.
func (p Program) OpensLinks() (bool, error) { return p.opensLinks() }

// SetOpensLinks has godwit: links opened by the program, or no longer. On macOS the
// bundle's Info.plist says it and nothing changes.
func (p Program) SetOpensLinks(on bool) error {
	if err := p.check(); err != nil {
		return err
	}
	return p.setOpensLinks(on)
}
