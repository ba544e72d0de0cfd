package config

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/godwit-im/godwit/app/problem"
)

// maxBootstrap bounds a list of peers in bytes: some 10,000 addresses.
const maxBootstrap = 1 << 20

// readBootstrap reads the list of Config.Bootstrap into Config.Listed. The file is for
// people and packages to edit: one multiaddr with PeerID a line, the rest of a line from a
// # on is a remark. A relative path starts where config.toml is. Errors:
// problem.ConfigValue with the line.
func (c *Config) readBootstrap() error {
	if c.Bootstrap == "" {
		return nil
	}
	path := c.Bootstrap
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(c.Dirs.ConfigFile), path)
	}
	f, err := os.Open(path)
	if err != nil {
		return problem.Newf(problem.ConfigValue, "bootstrap: %w", err)
	}
	defer f.Close()
	in := bufio.NewScanner(io.LimitReader(f, maxBootstrap+1))
	read := 0
	for line := 1; in.Scan(); line++ {
		read += len(in.Bytes()) + 1
		text, _, _ := strings.Cut(in.Text(), "#")
		text = strings.TrimSpace(text)
		if text == "" || slices.Contains(c.Listed, text) {
			continue
		}
		if err := multiaddrs([]string{text}, true); err != nil {
			return problem.Newf(problem.ConfigValue, "%s:%d: %w", path, line, err)
		}
		c.Listed = append(c.Listed, text)
	}
	err = in.Err()
	if err == nil && read > maxBootstrap {
		err = fmt.Errorf("more than %d bytes", maxBootstrap)
	}
	if err != nil {
		return problem.Newf(problem.ConfigValue, "%s: %w", path, err)
	}
	return nil
}
