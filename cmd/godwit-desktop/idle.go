package main

import (
	"context"
	"sync/atomic"
	"time"

	"fyne.io/fyne/v2"
	"github.com/go-gl/glfw/v3.4/glfw"
)

// idle lets the window's thread sleep while nothing happens. Fyne asks sixty times a
// second whether there is something to do, which costs 1 % of a CPU, for nobody. Once
// all is quiet the thread waits in the library below it for what the person does, or for
// what is given to do. Fyne still gets a turn four times a second, for what it has itself.
type idle struct {
	ctx    context.Context // of the program
	last   atomic.Int64    // when something was done, in ns since began
	began  time.Time
	timer  *time.Timer
	asleep atomic.Bool
}

const (
	awake = time.Second            // so long after something was done
	turn  = 250 * time.Millisecond // between two of Fyne's
)

// newIdle is for a program that ends with its context. Fyne has to be running when a
// second is over.
func newIdle(ctx context.Context) *idle {
	i := &idle{ctx: ctx, began: time.Now()}
	i.timer = time.AfterFunc(awake, i.drowse)
	return i
}

// do runs a function on the window's thread.
func (i *idle) do(f func()) {
	i.touch()
	fyne.Do(f)
	if i.asleep.Load() && i.ctx.Err() == nil {
		glfw.PostEmptyEvent()
	}
}

func (i *idle) touch() { i.last.Store(int64(time.Since(i.began))) }

// drowse has the thread sleep once nothing was done for long enough.
func (i *idle) drowse() {
	if i.ctx.Err() != nil {
		return
	}
	if rest := awake - (time.Since(i.began) - time.Duration(i.last.Load())); rest > 0 {
		i.timer.Reset(rest)
		return
	}
	fyne.Do(i.sleep)
}

// sleep runs on the window's thread. Events are handled while it waits.
func (i *idle) sleep() {
	if i.ctx.Err() != nil {
		return // the library has ended, or is about to
	}
	i.asleep.Store(true)
	slept := time.Now()
	if time.Since(i.began)-time.Duration(i.last.Load()) >= awake { // or something came in between
		glfw.WaitEventsTimeout(turn.Seconds())
	}
	i.asleep.Store(false)
	if time.Since(slept) < turn*9/10 { // it was woken; waiting is not exact
		i.touch()
		i.timer.Reset(awake)
		return
	}
	fyne.Do(i.sleep)
}
