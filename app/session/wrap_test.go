package session

import (
	"bytes"
	"errors"
	"testing"
)

func FuzzUnwrap(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0})
	f.Add([]byte{0, 1, 2})
	f.Add([]byte{1, 0, 0, 0, 1, 9})
	f.Add([]byte{1, 0, 0, 0, 0, 9})
	f.Add([]byte{1, 0, 0})
	f.Add([]byte{2, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, content []byte) {
		payload, generation, err := unwrap(content)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("error is %v", err)
			}
			return
		}
		if again := wrap(payload, generation != 0, generation); !bytes.Equal(again, content) {
			t.Errorf("%x and %x are one", content, again)
		}
	})
}
