package apptest_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/apptest"
)

// BenchmarkDelivered sends one message after the other and waits for each to be
// delivered; BenchmarkWindow keeps 256 on their way. Both people are in this
// process: `godwit bench direct` measures the real programs.
func BenchmarkDelivered(b *testing.B) { benchmark(b, 1) }
func BenchmarkWindow(b *testing.B)    { benchmark(b, 256) }

func benchmark(b *testing.B, window int) {
	w := apptest.New(b)
	alice, bob := w.Person("alice"), w.Person("bob")
	alice.Meets(bob)
	send := func(i int) {
		sent, err := alice.Send(context.Background(), api.SendRequest{Contact: "bob", Text: fmt.Sprint("message ", i), Wait: api.Delivered})
		if err != nil || sent.State != api.Delivered {
			b.Errorf("message %d: %v, %v", i, sent.State, err)
		}
	}
	send(0)
	b.ResetTimer()
	numbers := make(chan int)
	var senders sync.WaitGroup
	for range window {
		senders.Go(func() {
			for i := range numbers {
				send(i)
			}
		})
	}
	for i := range b.N {
		numbers <- i
	}
	close(numbers)
	senders.Wait()
}
