package autostart

import (
	"errors"
	"fmt"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

// Keys of the current user.
const (
	runKey  = `Software\Microsoft\Windows\CurrentVersion\Run`
	linkKey = `Software\Classes\godwit`
)

// command is a command line that starts the program: each word quoted as Windows'
// programs read it.
func (p Program) command(args ...string) string {
	return windows.ComposeCommandLine(append([]string{p.Path}, args...))
}

// linkCommand opens a link. Windows puts it in place of %1 as it is; behind -- nothing of
// it can be a flag, even if it has a quotation mark in it.
func (p Program) linkCommand() string { return `"` + p.Path + `" -- "%1"` }

func value(key, name string) (string, error) {
	k, err := registry.OpenKey(registry.CURRENT_USER, key, registry.QUERY_VALUE)
	if errors.Is(err, registry.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("autostart: %w", err)
	}
	defer k.Close()
	v, _, err := k.GetStringValue(name)
	if errors.Is(err, registry.ErrNotExist) {
		return "", nil
	}
	return v, err
}

func setValue(key, name, v string) error {
	k, _, err := registry.CreateKey(registry.CURRENT_USER, key, registry.SET_VALUE)
	if err == nil {
		err = errors.Join(k.SetStringValue(name, v), k.Close())
	}
	if err != nil {
		return fmt.Errorf("autostart: %s: %w", key, err)
	}
	return nil
}

func (p Program) atLogin() (bool, error) {
	v, err := value(runKey, p.Name)
	return v == p.command(p.Args...), err
}

func (p Program) setAtLogin(on bool) error {
	if on {
		return setValue(runKey, p.Name, p.command(p.Args...))
	}
	k, err := registry.OpenKey(registry.CURRENT_USER, runKey, registry.SET_VALUE)
	if errors.Is(err, registry.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("autostart: %w", err)
	}
	defer k.Close()
	if err := k.DeleteValue(p.Name); err != nil && !errors.Is(err, registry.ErrNotExist) {
		return fmt.Errorf("autostart: %w", err)
	}
	return nil
}

func (p Program) opensLinks() (bool, error) {
	v, err := value(linkKey+`\shell\open\command`, "")
	return v == p.linkCommand(), err
}

func (p Program) setOpensLinks(on bool) error {
	if on {
		return errors.Join(
			setValue(linkKey, "", "URL:"+p.Name),
			setValue(linkKey, "URL Protocol", ""),
			setValue(linkKey+`\DefaultIcon`, "", `"`+p.Path+`",0`),
			setValue(linkKey+`\shell\open\command`, "", p.linkCommand()),
		)
	}
	if ours, err := p.opensLinks(); err != nil || !ours {
		return err // another program's stays
	}
	for _, key := range []string{`\shell\open\command`, `\shell\open`, `\shell`, `\DefaultIcon`, ``} { // children first
		if err := registry.DeleteKey(registry.CURRENT_USER, linkKey+key); err != nil && !errors.Is(err, registry.ErrNotExist) {
			return fmt.Errorf("autostart: %w", err)
		}
	}
	return nil
}
