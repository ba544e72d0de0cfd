// Package task runs what takes time away from the window's thread, and brings what
// came of it back.
//
//	task.Load(r, func(ctx context.Context) (api.Status, error) { return b.Status(ctx, api.StatusRequest{}) },
//		func(s api.Status, err error) { foot.Show(s, err) })
package task

import (
	"context"
	"sync"
	"time"

	"github.com/godwit-im/godwit/app/api"
)

// Runner starts work. Its owner ends the context and then calls Wait.
type Runner struct {
	ctx context.Context
	do  func(func())
	wg  sync.WaitGroup

	mu   sync.Mutex // of over and the group's growing
	over bool
}

// New is a runner whose work ends with the context. Do runs a function on the window's
// thread: fyne.Do, or a test's queue.
func New(ctx context.Context, do func(func())) *Runner { return &Runner{ctx: ctx, do: do} }

// Go does work beside the window.
func (r *Runner) Go(work func(context.Context)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over {
		r.wg.Go(func() { work(r.ctx) })
	}
}

// Do runs a function on the window's thread, unless all is over.
func (r *Runner) Do(f func()) {
	r.do(func() {
		if r.ctx.Err() == nil {
			f()
		}
	})
}

// Wait returns when all work has ended. The context must be over.
func (r *Runner) Wait() {
	r.mu.Lock()
	r.over = true
	r.mu.Unlock()
	r.wg.Wait()
}

// Load does work beside the window and gives what came of it to the window.
func Load[T any](r *Runner, work func(context.Context) (T, error), apply func(T, error)) {
	r.Go(func(ctx context.Context) {
		v, err := work(ctx)
		r.Do(func() { apply(v, err) })
	})
}

// Pace is the least time between two deliveries of events to the window: 30 a second.
const Pace = time.Second / 30

// Follow brings events to the window, in order, all that came within Pace at once. It
// returns when follow does; nothing runs while nothing happens.
func Follow(r *Runner, follow func(context.Context, func(api.Event) error) error, apply func([]api.Event)) error {
	var mu sync.Mutex
	var batch []api.Event
	due := time.AfterFunc(time.Hour, func() {
		mu.Lock()
		defer mu.Unlock() // until they are handed over: the next ones must not overtake them
		events := batch
		batch = nil
		if len(events) > 0 {
			r.Do(func() { apply(events) })
		}
	})
	due.Stop()
	defer due.Stop()
	return follow(r.ctx, func(e api.Event) error {
		mu.Lock()
		defer mu.Unlock()
		if batch = append(batch, e); len(batch) == 1 {
			due.Reset(Pace)
		}
		return nil
	})
}
