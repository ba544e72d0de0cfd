//go:build linux

package soak

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/godwit-im/godwit/cmd/godwit/soak/witness"
)

// files are those of a disk that are worth a copy: no sockets, and not what fills it.
func files(dir string) fs.FS { return realFiles{os.DirFS(dir)} }

type realFiles struct{ fs.FS }

func (f realFiles) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := fs.ReadDir(f.FS, name)
	kept := list[:0]
	for _, e := range list {
		if e.Name() != filler && (e.IsDir() || e.Type().IsRegular()) {
			kept = append(kept, e)
		}
	}
	return kept, err
}

// filler is the file that fills a disk.
const filler = "filler"

// befall has a fault happen, and returns when it is over.
func (w *world) befall(s step, over <-chan struct{}) {
	pause := func(d time.Duration) {
		select {
		case <-time.After(d):
		case <-over:
		}
	}
	p := w.all[s.Who]
	switch s.Do {
	case faultKill:
		w.killFor(p, s, pause, nil)
	case faultCaught:
		hit := make(chan struct{})
		p.weather.disk(s.Off)
		disarm := w.network.after(s.Who, s.Said, s.N, func() {
			p.strike()
			close(hit)
		})
		w.killFor(p, s, pause, func() {
			select {
			case <-hit:
			case <-time.After(5 * time.Second):
			case <-over:
			}
			disarm()
			p.weather.disk(0)
		})
	case faultPart, faultAlone:
		w.network.part(s.Who, s.Other)
		w.did(s.Do)
		pause(s.For)
		w.network.join(s.Who, s.Other, s.For%2 == 0)
	case faultMute:
		w.network.deafen(s.Who, s.Other)
		w.did(s.Do)
		pause(s.For)
		w.network.hear(s.Who, s.Other)
	case faultFreeze:
		p.signal(syscall.SIGSTOP)
		w.did(s.Do)
		pause(s.For)
		p.signal(syscall.SIGCONT)
	case faultSlow:
		p.weather.disk(s.Off)
		w.did(s.Do)
		pause(s.For)
		p.weather.disk(0)
	case faultJump:
		p.weather.clock(s.Off)
		w.did(s.Do)
		pause(stormTime) // to its end
	case faultFull:
		if !w.disks {
			return
		}
		if err := fill(filepath.Join(p.dir, filler)); err != nil {
			w.fault("%s's disk: %v", s.Who, err)
		}
		w.did(s.Do)
		pause(s.For)
		os.Remove(filepath.Join(p.dir, filler))
	case faultLie:
		p.does(s.Lie)
		w.did(s.Do + ", " + s.Lie)
		pause(s.For)
		p.does(honest)
	case faultWipe:
		p.turn.Lock()
		if p.end(syscall.SIGKILL) == nil {
			w.did(s.Do)
		}
		if err := os.RemoveAll(filepath.Join(p.dir, "mail")); err != nil {
			w.fault("%v", err)
		}
		w.write(witness.Line{What: "wiped", Who: s.Who.String(), ID: p.account})
		p.turn.Unlock()
		pause(s.For)
		p.start()
	}
}

// killFor kills a process, when it is time, for a while.
func (w *world) killFor(p *process, s step, pause func(time.Duration), wait func()) {
	if wait != nil {
		wait()
	}
	p.turn.Lock()
	if p.kill() {
		w.did(s.Do)
	}
	p.turn.Unlock()
	pause(s.For)
	p.start()
}

// does tells the relay that lies what to do.
func (p *process) does(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.in != nil {
		_, _ = io.WriteString(p.in, what+"\n") // it may be dead, and will be honest then
	}
}

// fill fills a disk up to the last byte.
func fill(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for b := make([]byte, 1<<20); len(b) > 0; {
		n, err := f.Write(b)
		switch {
		case errors.Is(err, syscall.ENOSPC):
			b = b[:len(b)/2]
		case err != nil:
			return err
		case n < len(b):
			b = b[:len(b)-n]
		}
	}
	return nil
}
