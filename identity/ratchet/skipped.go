package ratchet

import (
	"slices"
	"time"
)

// Bounds on message keys kept for messages that are late.
const (
	maxJump          = 25_000 // message keys one message may skip in each half
	maxSkippedChain  = 1_000  // keys kept per chain, the newest
	maxSkipped       = 2_000  // keys kept per half, of the newest chains
	maxOldHeaderKeys = 5      // chains before the present one whose header keys are tried
	maxSkippedAge    = 30 * 24 * time.Hour
)

// A late message needs a key of each half, and each half skips at its own
// counters: the elliptic-curve half by header key and n, the post-quantum half
// by epoch and pqN. So each half keeps its own skipped keys in a store.

// skippedKey is a message key passed over, and when (unix seconds).
type skippedKey struct {
	n   uint32
	at  int64
	key key
}

// skippedChain holds the keys skipped in one chain, n ascending, never none.
type skippedChain[ID comparable] struct {
	id   ID
	keys []skippedKey
}

// store holds the chains that have skipped keys, the oldest chain first.
type store[ID comparable] []skippedChain[ID]

// change is what opening one message does to a store. It is applied only when
// the message has proved authentic, so that nothing need be copied before.
type change[ID comparable] struct {
	skipped []skippedChain[ID] // at most two: the chain before, and the present one
	used    *ID                // the chain whose key usedN opened the message; nil: none of them
	usedN   uint32
}

// skipTo moves the chain up to message n and adds the newest keys it passes to
// the change.
func skipTo[ID comparable](c *chain, n uint32, id ID, now time.Time, to *change[ID]) {
	if n <= c.n {
		return
	}
	for n-c.n > maxSkippedChain {
		c.skip()
	}
	keys := make([]skippedKey, 0, n-c.n)
	for c.n < n {
		k := skippedKey{n: c.n, at: now.Unix()}
		k.key = c.next()
		keys = append(keys, k)
	}
	to.skipped = append(to.skipped, skippedChain[ID]{id, keys})
}

func byNumber(k skippedKey, n uint32) int {
	switch {
	case k.n < n:
		return -1
	case k.n > n:
		return 1
	}
	return 0
}

// find gives the key of message n of a chain, and notes in the change that it
// is used.
func (s store[ID]) find(id ID, n uint32, c *change[ID]) (key, bool) {
	for _, ch := range s {
		if ch.id == id {
			if i, ok := slices.BinarySearchFunc(ch.keys, n, byNumber); ok {
				c.used, c.usedN = &id, n
				return ch.keys[i].key, true
			}
		}
	}
	return key{}, false
}

// apply makes a change: a used key is deleted, skipped keys are kept within the bounds.
func (s *store[ID]) apply(c change[ID], now time.Time) {
	if c.used != nil {
		s.keep(func(id ID, k *skippedKey) bool { return id != *c.used || k.n != c.usedN }, c.used)
	}
	for _, add := range c.skipped {
		if i := len(*s) - 1; i >= 0 && (*s)[i].id == add.id {
			(*s)[i].keys = append((*s)[i].keys, add.keys...)
		} else {
			*s = append(*s, add)
		}
	}
	if len(c.skipped) > 0 {
		s.bound()
	}
	s.expire(now)
}

// bound drops the oldest keys beyond maxSkippedChain and maxSkipped.
func (s *store[ID]) bound() {
	room := maxSkipped
	for i := len(*s) - 1; i >= 0; i-- {
		ch := &(*s)[i]
		if over := len(ch.keys) - min(maxSkippedChain, room); over > 0 {
			clear(ch.keys[:over])
			ch.keys = slices.Delete(ch.keys, 0, over)
		}
		room -= len(ch.keys)
	}
	s.tidy()
}

// expire drops keys older than maxSkippedAge and tells whether there were any.
// Within a chain the first key is the oldest one.
func (s *store[ID]) expire(now time.Time) bool {
	before := now.Add(-maxSkippedAge).Unix()
	if !slices.ContainsFunc(*s, func(ch skippedChain[ID]) bool { return ch.keys[0].at < before }) {
		return false
	}
	s.keep(func(_ ID, k *skippedKey) bool { return k.at >= before }, nil)
	return true
}

// keep drops the keys that ok refuses, in the chain only or (nil) in all.
func (s *store[ID]) keep(ok func(ID, *skippedKey) bool, only *ID) {
	for i := range *s {
		ch := &(*s)[i]
		if only == nil || ch.id == *only {
			ch.keys = slices.DeleteFunc(ch.keys, func(k skippedKey) bool { return !ok(ch.id, &k) })
		}
	}
	s.tidy()
}

// tidy drops chains without keys.
func (s *store[ID]) tidy() {
	*s = slices.DeleteFunc(*s, func(ch skippedChain[ID]) bool { return len(ch.keys) == 0 })
}

func (s store[ID]) len() (n int) {
	for _, ch := range s {
		n += len(ch.keys)
	}
	return n
}

func (s store[ID]) clone() store[ID] {
	c := slices.Clone(s)
	for i := range c {
		c[i].keys = slices.Clone(c[i].keys)
	}
	return c
}

// forget drops the oldest chains beyond the most recent ones, not counting the
// present chain.
func (s *store[ID]) forget(present ID, most int) {
	old := len(*s)
	if old > 0 && (*s)[old-1].id == present {
		old--
	}
	if over := old - most; over > 0 {
		*s = slices.Delete(*s, 0, over)
	}
}
