package autostart

import (
	"errors"
	"path/filepath"
)

// agent is where launchd looks for what to start at login.
func (p Program) agent() (string, error) {
	home := p.Getenv("HOME")
	if !filepath.IsAbs(home) {
		return "", errors.New("autostart: HOME is not set")
	}
	return filepath.Join(home, "Library", "LaunchAgents", p.ID+".plist"), nil
}

func (p Program) atLogin() (bool, error) {
	path, err := p.agent()
	if err != nil {
		return false, err
	}
	text, err := read(path)
	return text == launchAgent(p), err
}

func (p Program) setAtLogin(on bool) error {
	path, err := p.agent()
	if err != nil {
		return err
	}
	if !on {
		return remove(path)
	}
	return write(path, launchAgent(p))
}

// The bundle's Info.plist says it.
func (p Program) opensLinks() (bool, error) { return true, nil }

func (p Program) setOpensLinks(bool) error { return nil }
