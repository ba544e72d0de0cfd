//go:build linux

package soak

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// The program under test is built from the sources as they are. Only three functions of
// Go's standard library are replaced in it (go build -overlay), as the operating
// system beneath it might be another: time.Now adds what the process's weather says,
// fsync takes longer, and connections to loopback go through the proxy of the test. So
// clocks jump and disks are slow in real processes, with no flag or seam in the program
// and no right but that to run it.

// overlays are the changes to the standard library: in a file, the lines to put behind
// the one line that is found.
var overlays = []struct{ file, after, put string }{
	{"time/time.go", "\tsec, nsec, mono := runtimeNow()\n\tif mono == 0 {\n\t\treturn Time{uint64(nsec), sec + unixToInternal, Local}\n\t}\n",
		"\tsec, nsec = syscall.WeatherNow(sec, nsec)\n"},
	{"time/time.go", "import (\n", "\t\"syscall\"\n"},
	{"syscall/syscall_unix.go", "func Connect(fd int, sa Sockaddr) (err error) {\n", "\tsa = weatherConnect(fd, sa)\n"},
	{"syscall/syscall_linux.go", "func Syscall(trap, a1, a2, a3 uintptr) (r1, r2 uintptr, err Errno) {\n",
		"\tif trap == SYS_FSYNC || trap == SYS_FDATASYNC {\n\t\tweatherSync()\n\t}\n"},
}

// weatherSource is added to package syscall.
const weatherSource = `package syscall

import (
	"sync/atomic"
	"unsafe"
)

// weather is a file that the test writes: how far the clock is off and how long a
// sync takes, in ns. self is who this process is to the proxy; 0: it does not use it.
var weather struct {
	page *[2]int64
	self byte
}

func init() {
	if path, ok := Getenv("SOAK_WEATHER"); ok {
		fd, err := Open(path, O_RDONLY|O_CLOEXEC, 0)
		p, _, errno := Syscall6(SYS_MMAP, 0, 4096, PROT_READ, MAP_SHARED, uintptr(fd), 0)
		if err != nil || errno != 0 {
			panic("no weather in " + path)
		}
		weather.page = *(**[2]int64)(unsafe.Pointer(&p))
	}
	self, _ := Getenv("SOAK_SELF")
	for _, c := range []byte(self) {
		weather.self = 10*weather.self + c - '0'
	}
}

func WeatherNow(sec int64, nsec int32) (int64, int32) {
	if weather.page == nil {
		return sec, nsec
	}
	n := int64(nsec) + atomic.LoadInt64(&weather.page[0])
	sec, n = sec+n/1e9, n%1e9
	if n < 0 {
		sec, n = sec-1, n+1e9
	}
	return sec, int32(n)
}

func weatherSync() {
	if weather.page == nil {
		return
	}
	if ns := atomic.LoadInt64(&weather.page[1]); ns > 0 {
		t := NsecToTimespec(ns)
		Syscall(SYS_NANOSLEEP, uintptr(unsafe.Pointer(&t)), 0, 0)
	}
}

func weatherConnect(fd int, sa Sockaddr) Sockaddr {
	to, ok := sa.(*SockaddrInet4)
	if !ok || weather.self == 0 || to.Addr[0] != 127 {
		return sa
	}
	if kind, err := GetsockoptInt(fd, SOL_SOCKET, SO_TYPE); err != nil || kind != SOCK_STREAM {
		return sa
	}
	if err := Bind(fd, &SockaddrInet4{Addr: [4]byte{127, 78, 0, weather.self}}); err != nil {
		panic("soak: " + err.Error())
	}
	return &SockaddrInet4{Port: to.Port, Addr: [4]byte{127, 77, 0, 1}}
}
`

// buildProgram builds the program with weather.
func buildProgram(t testing.TB, dir string) string {
	t.Helper()
	began := time.Now()
	root := strings.TrimSpace(output(t, "go", "env", "GOROOT"))
	replace := make(map[string]string)
	put := func(file string, source []byte) {
		at := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		check(t, os.WriteFile(at, source, 0o600))
		replace[filepath.Join(root, "src", file)] = at
	}
	sources := make(map[string]string)
	for _, o := range overlays {
		if sources[o.file] == "" {
			b, err := os.ReadFile(filepath.Join(root, "src", o.file))
			check(t, err)
			sources[o.file] = string(b)
		}
		if strings.Contains(o.put, `"syscall"`) && strings.Contains(sources[o.file], o.put) {
			continue
		}
		if n := strings.Count(sources[o.file], o.after); n != 1 {
			t.Fatalf("%s of %s is not what the soak knows: %q is in it %d times", o.file, root, o.after, n)
		}
		sources[o.file] = strings.Replace(sources[o.file], o.after, o.after+o.put, 1)
	}
	for file, source := range sources {
		put(file, []byte(source))
	}
	put("syscall/weather.go", []byte(weatherSource))
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	program := filepath.Join(dir, "godwit")
	cmd := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, "github.com/godwit-im/godwit/cmd/godwit")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	t.Logf("built in %.0f s", time.Since(began).Seconds())
	return program
}

// weather is how a process's clock and disk are.
type weather struct {
	path string
	page *[2]int64
}

func newWeather(t testing.TB, path string) *weather {
	t.Helper()
	check(t, os.WriteFile(path, make([]byte, 4096), 0o600))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	check(t, err)
	defer f.Close()
	page, err := syscall.Mmap(int(f.Fd()), 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	check(t, err)
	t.Cleanup(func() { check(t, syscall.Munmap(page)) })
	return &weather{path, (*[2]int64)(unsafe.Pointer(&page[0]))}
}

// clock sets the wall clock off by so much; the monotonic clock goes on as ever.
func (w *weather) clock(off time.Duration) { atomic.StoreInt64(&w.page[0], int64(off)) }

// disk makes each fsync take longer by so much.
func (w *weather) disk(slow time.Duration) { atomic.StoreInt64(&w.page[1], int64(slow)) }

func output(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", name, err))
	}
	return string(out)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
