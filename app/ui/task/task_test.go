package task

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-im/godwit/app/api"
)

// Five hundred events in a second reach the window in at most 31 deliveries, each once
// and in order; and while nothing happens nothing is delivered.
func TestManyEventsAreFewDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		r := New(ctx, func(f func()) { f() })
		var got []string
		deliveries := 0
		r.Go(func(ctx context.Context) {
			err := Follow(r, func(ctx context.Context, each func(api.Event) error) error {
				for i := range 500 {
					if err := each(api.Event{ID: fmt.Sprint(i)}); err != nil {
						return err
					}
					time.Sleep(2 * time.Millisecond)
				}
				<-ctx.Done()
				return ctx.Err()
			}, func(events []api.Event) {
				deliveries++
				for _, e := range events {
					got = append(got, e.ID)
				}
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
		})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		after := deliveries
		time.Sleep(time.Hour)
		synctest.Wait()
		if deliveries != after {
			t.Error("something was delivered while nothing happened")
		}
		stop()
		r.Wait()
		if len(got) != 500 || deliveries > 31 {
			t.Errorf("%d events in %d deliveries", len(got), deliveries)
		}
		for i, id := range got {
			if id != fmt.Sprint(i) {
				t.Fatalf("event %d is %s", i, id)
			}
		}
	})
}

func TestWhatCameOfItIsShownOnTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		queue := make(chan func(), 10)
		r := New(ctx, func(f func()) { queue <- f })
		said := ""
		Load(r, func(context.Context) (string, error) { return "hello", nil }, func(v string, err error) { said = v })
		synctest.Wait()
		if said != "" {
			t.Error("it was shown by the wrong goroutine")
		}
		(<-queue)()
		if said != "hello" {
			t.Errorf("%q", said)
		}
		Load(r, func(context.Context) (string, error) { return "late", nil }, func(v string, err error) { said = v })
		synctest.Wait()
		stop()
		(<-queue)()
		r.Wait()
		if said != "hello" {
			t.Error("a window that is closed was changed")
		}
		r.Go(func(context.Context) { t.Error("work began after the end") })
	})
}
