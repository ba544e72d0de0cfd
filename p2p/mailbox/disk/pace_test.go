package disk

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// While nobody waits, the collector works a fifth of the time. A Commit that the disk kept for long
// has it make way, the longer the slower it was, and for no more than a second at a time, until that is
// forgotten. When space runs out it makes way for nobody, and works half of the time.
func TestPace(t *testing.T) {
	var p pace
	worked, now := 3*time.Millisecond, time.Unix(0, 0)
	rests := func(why string, least, most time.Duration) {
		t.Helper()
		if rest := p.rest(worked, false, now); rest < least || rest > most {
			t.Errorf("%s: rests for %v, want %v to %v", why, rest, least, most)
		}
		if rest := p.rest(worked, true, now); rest != worked {
			t.Errorf("%s, in a hurry: rests for %v", why, rest)
		}
	}
	rests("nothing was committed yet", 4*worked, 4*worked)
	p.took(calm, now)
	rests("as fast as ever", 4*worked, 4*worked)
	p.took(4*calm, now)
	rests("slow", 2*forget, 2*forget)
	p.took(calm/10, now)
	rests("one was fast again", 2*forget, 2*forget)
	now = now.Add(forget)
	rests("a little later", forget-time.Millisecond, forget+time.Millisecond)
	now = now.Add(2 * forget)
	rests("it is forgotten", 4*worked, 4*worked)
	p.took(time.Hour, now)
	rests("as slow as can be", longestRest, longestRest)
	worked = time.Hour
	now = now.Add(time.Hour)
	if rest := p.rest(worked, true, now); rest != longestRest {
		t.Errorf("after a very long piece of work, in a hurry: rests for %v", rest)
	}
}

// The collector rests only after it has worked for a while, as long as pace says, and no longer than the relay runs.
func TestShift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(Store)
		s.max.Store(minMaxBytes)
		work := shift{s, time.Now()}
		rested := func() time.Duration {
			t.Helper()
			began := time.Now()
			if err := work.pause(t.Context()); err != nil {
				t.Fatal(err)
			}
			return time.Since(began)
		}
		time.Sleep(workTime - time.Microsecond)
		if d := rested(); d != 0 {
			t.Errorf("rested for %v too early", d)
		}
		time.Sleep(time.Microsecond)
		if d := rested(); d != restShare*workTime {
			t.Errorf("rested for %v after %v of work", d, workTime)
		}
		if d := rested(); d != 0 {
			t.Errorf("rested for %v after a rest", d)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Millisecond)
		defer stop()
		time.Sleep(workTime)
		began := time.Now()
		if err := work.pause(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 0 {
			t.Errorf("the relay had stopped, and it rested for %v: %v", time.Since(began), err)
		}
	})
}

// What the collector goes by is how long Commits take.
func TestCommitsAreMeasured(t *testing.T) {
	s := open(t, Config{Dir: "/mail", FS: vfs.NewMem(), MaxBytes: minMaxBytes})
	defer s.Close()
	began := time.Now()
	lease(t, s, noon)
	if s.pace.slow <= 0 || s.pace.at.Before(began) {
		t.Errorf("%v at %v", s.pace.slow, s.pace.at)
	}
}
