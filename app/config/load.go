package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/BurntSushi/toml"

	"github.com/godwit-im/godwit/app/problem"
)

// Sources is where Load looks besides the file.
type Sources struct {
	// Getenv is os.Getenv, or a test's own.
	Getenv func(string) string
	// Profile is --profile: everything lies under it. Empty: GODWIT_HOME, or
	// the directories of the system.
	Profile string
	// Flags are the settings given on the command line, by key ("max_disk").
	Flags map[string][]string
}

// Setting is one value and where it came from, for `config show`.
type Setting struct {
	Key    string   `json:"key"`
	Values []string `json:"values"`
	Origin string   `json:"origin"` // "default", "FILE:LINE", "environment GODWIT_X" or "flag --x"
	Means  string   `json:"means"`
}

// EnvName is the environment variable of a key.
func EnvName(key string) string { return "GODWIT_" + strings.ToUpper(key) }

// FlagName is the command line's spelling of a key.
func FlagName(key string) string { return strings.ReplaceAll(key, "_", "-") }

// Load reads the configuration: flags over environment over file over default.
// It makes nothing on disk. A file that is not there is no error; a file with
// an unknown key, a wrong type or a bad value is, with its line.
// Errors: problem.ConfigSyntax, ConfigUnknown, ConfigValue, Usage (flags),
// CannotMakeDir (the profile is no directory), NotPermitted.
func Load(s Sources) (Config, []Setting, error) {
	dirs, err := FindDirs(s.Profile, s.Getenv)
	if err != nil {
		return Config{}, nil, err
	}
	cfg := defaults()
	cfg.Dirs = dirs
	if info, err := os.Stat(dirs.Profile); dirs.Profile != "" && err == nil && !info.IsDir() {
		return Config{}, nil, problem.Newf(problem.CannotMakeDir, "%s is not a directory", dirs.Profile)
	}
	file, err := readFile(dirs.ConfigFile)
	if err != nil {
		return Config{}, nil, err
	}
	var settings []Setting
	for _, k := range keys() {
		set := Setting{Key: k.name, Origin: "default", Means: k.means}
		if v, ok := file.values[k.name]; ok {
			set.Origin = fmt.Sprintf("%s:%d", dirs.ConfigFile, file.line(k.name))
			if err := k.set(&cfg, v); err != nil {
				return Config{}, nil, problem.Newf(problem.ConfigValue, "%s: %s: %w", set.Origin, k.name, err)
			}
		}
		if v := s.Getenv(EnvName(k.name)); v != "" {
			set.Origin = "environment " + EnvName(k.name)
			values := []string{v}
			if k.list {
				values = strings.Split(v, ",")
			}
			if err := k.set(&cfg, values); err != nil {
				return Config{}, nil, problem.Newf(problem.ConfigValue, "%s: %w", EnvName(k.name), err)
			}
		}
		if v, ok := s.Flags[k.name]; ok {
			set.Origin = "flag --" + FlagName(k.name)
			if err := k.set(&cfg, v); err != nil {
				return Config{}, nil, problem.Newf(problem.Usage, "--%s: %w", FlagName(k.name), err)
			}
		}
		set.Values = slices.Clone(k.show(&cfg))
		settings = append(settings, set)
	}
	if cfg.Limits.Lease == LeaseToken && len(cfg.Limits.Tokens) == 0 {
		return Config{}, nil, problem.Newf(problem.ConfigValue, "lease is token, but lease_token lists none, so nobody could have a box")
	}
	if err := cfg.readBootstrap(); err != nil {
		return Config{}, nil, err
	}
	return cfg, settings, nil
}

// tomlFile is config.toml after reading: every value as text, by key.
type tomlFile struct {
	text   string
	values map[string][]string
}

func readFile(path string) (tomlFile, error) {
	f := tomlFile{values: map[string][]string{}}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return f, problem.New(problem.CannotMakeDir, err) // a file where a directory should be
	}
	if errors.Is(err, fs.ErrPermission) {
		return f, problem.New(problem.NotPermitted, err)
	}
	if err != nil {
		return f, problem.New(problem.ConfigSyntax, err)
	}
	f.text = string(text)
	var raw map[string]any
	if _, err := toml.Decode(f.text, &raw); err != nil {
		var parse toml.ParseError
		if errors.As(err, &parse) {
			return f, problem.Newf(problem.ConfigSyntax, "%s:%d: %s", path, parse.Position.Line, parse.Message)
		}
		return f, problem.Newf(problem.ConfigSyntax, "%s: %w", path, err)
	}
	known := keys()
	// In the order of the lines, so that the first mistake is the one named.
	names := make([]string, 0, len(raw))
	for name := range raw {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return f.line(a) - f.line(b) })
	for _, name := range names {
		at := slices.IndexFunc(known, func(k key) bool { return k.name == name })
		if at < 0 {
			return f, problem.Newf(problem.ConfigUnknown, "%s:%d: unknown key %q%s", path, f.line(name), name, near(name, known))
		}
		values, err := texts(raw[name], known[at].list)
		if err != nil {
			return f, problem.Newf(problem.ConfigValue, "%s:%d: %s: %w", path, f.line(name), name, err)
		}
		f.values[name] = values
	}
	return f, nil
}

// line finds where a top-level key or table stands, from 1. The decoder knows
// no positions of keys; our file is flat, so the first line that starts with
// the key is the one.
func (f tomlFile) line(name string) int {
	q := regexp.QuoteMeta(name)
	start := regexp.MustCompile(`^\s*(\[+\s*)?["']?` + q + `["']?\s*[=.\]]`)
	for i, l := range strings.Split(f.text, "\n") {
		if start.MatchString(l) {
			return i + 1
		}
	}
	return 1
}

// texts gives a TOML value as the texts that flags would give: a string, a
// whole number (a size), or, for lists, an array of strings.
func texts(v any, list bool) ([]string, error) {
	switch v := v.(type) {
	case string:
		return []string{v}, nil
	case int64:
		if !list {
			return []string{fmt.Sprint(v)}, nil
		}
	case []any:
		if !list {
			break
		}
		out := make([]string, 0, len(v))
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, fmt.Errorf("%v is not text", e)
			}
			out = append(out, s)
		}
		return out, nil
	}
	if list {
		return nil, errors.New(`wants a list of texts such as ["..."]`)
	}
	return nil, errors.New(`wants a text such as "..."`)
}

// near suggests the key that was probably meant.
func near(name string, known []key) string {
	norm := func(s string) string {
		return strings.TrimSuffix(strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(s)), "s")
	}
	for _, k := range known {
		if norm(k.name) == norm(name) {
			return fmt.Sprintf(" (did you mean %q?)", k.name)
		}
	}
	return ""
}
