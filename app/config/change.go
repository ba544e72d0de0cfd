package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/godwit-im/godwit/app/problem"
)

// Change sets keys of config.toml that have one value each, and leaves all else in the
// file as the person wrote it. It takes effect where the file is read; the environment
// and flags still come before it. Errors: problem.ConfigSyntax (it is not to be
// understood, or holds a key in a form that cannot be changed by a program), NotPermitted, DiskFull.
func Change(path string, values map[string]string) error {
	file, err := readFile(path)
	if err != nil {
		return err
	}
	text := file.text
	for _, key := range slices.Sorted(maps.Keys(values)) {
		line := fmt.Sprintf("%s = %q", key, values[key])
		if _, there := file.values[key]; !there {
			if text != "" && !strings.HasSuffix(text, "\n") {
				text += "\n"
			}
			text += line + "\n"
			continue
		}
		value := regexp.MustCompile(`(?m)^(\s*["']?` + regexp.QuoteMeta(key) + `["']?\s*=\s*)("[^"\n]*"|'[^'\n]*')`)
		at := value.FindStringSubmatchIndex(text)
		if at == nil {
			return problem.Newf(problem.ConfigSyntax, "%s:%d: set %s by hand", path, file.line(key), key)
		}
		text = text[:at[4]] + fmt.Sprintf("%q", values[key]) + text[at[5]:]
	}
	var read map[string]any
	if _, err := toml.Decode(text, &read); err != nil {
		return problem.Newf(problem.ConfigSyntax, "%s cannot be changed by a program: %w", path, err)
	}
	for key, want := range values {
		if read[key] != want {
			return problem.Newf(problem.ConfigSyntax, "%s: set %s by hand", path, key)
		}
	}
	if err := replace(path, text); errors.Is(err, fs.ErrPermission) {
		return problem.New(problem.NotPermitted, err)
	} else if err != nil {
		return problem.New(problem.DiskFull, err)
	}
	return nil
}

// replace makes a file hold a text, mode 0600, or leaves it as it was.
func replace(path, text string) error {
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	return nil
}
