//go:build unix && !darwin

package autostart

import (
	"path/filepath"
	"strings"
)

// loginFile is where the session looks for what to start.
func (p Program) loginFile() (string, error) {
	dir, err := xdgDir(p.Getenv, "XDG_CONFIG_HOME", ".config")
	return filepath.Join(dir, "autostart", p.ID+".desktop"), err
}

func (p Program) atLogin() (bool, error) {
	path, err := p.loginFile()
	if err != nil {
		return false, err
	}
	text, err := read(path)
	// A desktop's own settings switch an entry off by one of these lines.
	off := strings.Contains(text, "\nHidden=true") || strings.Contains(text, "\nX-GNOME-Autostart-enabled=false")
	return text != "" && !off, err
}

func (p Program) setAtLogin(on bool) error {
	path, err := p.loginFile()
	if err != nil {
		return err
	}
	if !on {
		return remove(path)
	}
	return write(path, autostartFile(p))
}

// linkFiles are the person's desktop file of the program, and the list that names it.
func (p Program) linkFiles() (file, list string, err error) {
	data, err := xdgDir(p.Getenv, "XDG_DATA_HOME", filepath.Join(".local", "share"))
	if err != nil {
		return "", "", err
	}
	config, err := xdgDir(p.Getenv, "XDG_CONFIG_HOME", ".config")
	return filepath.Join(data, "applications", p.ID+".desktop"), filepath.Join(config, "mimeapps.list"), err
}

func (p Program) opensLinks() (bool, error) {
	_, list, err := p.linkFiles()
	if err != nil {
		return false, err
	}
	text, err := read(list)
	return defaultOf(text, linkType) == p.ID+".desktop", err
}

func (p Program) setOpensLinks(on bool) error {
	file, list, err := p.linkFiles()
	if err != nil {
		return err
	}
	text, err := read(list)
	if err != nil {
		return err
	}
	if on {
		if err := write(file, DesktopFile(p)); err != nil {
			return err
		}
		return write(list, setDefault(text, linkType, p.ID+".desktop"))
	}
	if defaultOf(text, linkType) == p.ID+".desktop" { // another program's stays
		if err := write(list, setDefault(text, linkType, "")); err != nil {
			return err
		}
	}
	return remove(file)
}
