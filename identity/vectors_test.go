package identity

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the frozen vectors anew")

// othersVectors reads a file of test vectors made by others into v.
func othersVectors(t *testing.T, name string, v any) {
	t.Helper()
	dir := os.Getenv("GODWIT_VECTORS")
	if dir == "" {
		dir = filepath.Join(repository(t), "../shared/vectors")
	}
	data, err := os.ReadFile(filepath.Join(dir, name))
	if os.IsNotExist(err) {
		t.Skipf("SKIPPED: no vectors by others at %s; GODWIT_VECTORS names their directory", dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// repository is the directory of go.mod.
func repository(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	t.Fatal("no go.mod above the test")
	return ""
}

// hexBytes is bytes as vector files spell them.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func (h hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// frozen compares got with testdata/name, or writes it with -update.
func frozen[T any](t *testing.T, name string, got T) {
	t.Helper()
	have, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	have = append(have, '\n')
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, have, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(have) {
		t.Errorf("%s: the encoding has changed. What is frozen stays readable for ever: give the new one a version of its own", path)
	}
}
