package store

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
)

// TestReadersBesideAWriterSeeWholeCommits: what other connections read of the WAL
// has left gather, whatever the size of a commit.
func TestReadersBesideAWriterSeeWholeCommits(t *testing.T) {
	s := openNew(t)
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	update(t, s, func(tx *Tx) error { return putAll(tx, names, []byte{0}) })
	done := make(chan struct{})
	var reading sync.WaitGroup
	for range readers {
		reading.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				err := s.View(t.Context(), func(tx *Tx) error {
					first, err := tx.Setting(names[0])
					if err != nil {
						return err
					}
					for _, name := range names[1:] {
						if value, err := tx.Setting(name); err != nil || !bytes.Equal(value, first) {
							return errors.Join(err, errors.New("half of a commit is seen"))
						}
					}
					return nil
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 400 {
		value := bytes.Repeat([]byte{byte(i)}, 1+rng.IntN(3*pageSize))
		update(t, s, func(tx *Tx) error { return putAll(tx, names[:], value) })
	}
	close(done)
	reading.Wait()
}

func putAll(tx *Tx, names []string, value []byte) error {
	for _, name := range names {
		if err := tx.PutSetting(name, value); err != nil {
			return err
		}
	}
	return nil
}
