package disk

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cached tells how much of a file the system has in memory: mincore(2).
func cached(t *testing.T, path string) float64 {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(m)
	pages := make([]byte, (len(m)+os.Getpagesize()-1)/os.Getpagesize())
	if _, _, e := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&m[0])), uintptr(len(m)), uintptr(unsafe.Pointer(&pages[0]))); e != 0 {
		t.Fatal(e)
	}
	in := 0
	for _, p := range pages {
		in += int(p & 1)
	}
	return float64(in) / float64(len(pages))
}

// forgets says whether a file system has memory of its files that it can give up; tmpfs has not.
func forgets(t *testing.T, dir string) bool {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "probe"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	before := cached(t, f.Name())
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
	return before > 0.9 && cached(t, f.Name()) < 0.1
}

// What was full a while ago leaves the system's memory when a segment is begun, and can be fetched as before;
// what came last stays.
func TestFullSegmentsLeaveTheCache(t *testing.T) {
	dir := t.TempDir()
	if !forgets(t, dir) {
		t.Skipf("SKIPPED: the file system of %s gives up no memory", dir)
	}
	s := open(t, Config{Dir: dir, MaxBytes: 64 << 20, Quotas: roomy()}) // segments of 512 KiB
	defer s.Close()
	path := func(n uint64) string { return filepath.Join(dir, "log", logName(n)) }
	box, cells := fill(t, s, 200)
	for range 5 {
		fill(t, s, 200)
	}
	first, last := uint64(1<<62), uint64(0)
	for n := range s.segments {
		first, last = min(first, n), max(last, n)
	}
	if last-first < 2 {
		t.Fatalf("%d segments", last-first+1)
	}
	if err := s.prepareOne(context.Background()); err != nil {
		t.Fatal(err)
	}
	if s.cool(); cached(t, path(first)) > 0.1 || cached(t, path(last)) < 0.9 {
		t.Errorf("%.2f of the first segment is in memory, %.2f of the last", cached(t, path(first)), cached(t, path(last)))
	}
	for _, c := range cells {
		if _, err := s.Cell(box, c, noon); err != nil {
			t.Fatal(err)
		}
	}
}
