package jetstream

import (
	"errors"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
)

// errSilent says that the servers did not answer in time.
var errSilent = errors.New("jetstream: the store's servers do not answer")

// putOff refuses changes that the servers did not answer, or would not. It may be that they make them all the same, once they
// are heard again: who asks again then finds them made.
func (s *Store) putOff(changes []mailbox.Change) error {
	if err := s.failed(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.silent.IsZero() {
		s.silent = time.Now()
		s.log.Warn("the store's servers do not answer; who wants to leave something is told to try later")
	}
	s.mu.Unlock()
	for _, c := range changes {
		mailbox.OutcomeOf(c).Err = mailbox.ErrTryLater
	}
	return nil
}

// areSilent says whether the servers left a commit without an answer and were not seen to take something since.
func (s *Store) areSilent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.silent.IsZero()
}

// heardAgain notes that the servers can take something. The lock of silent is held.
func (s *Store) heardAgain() {
	if !s.silent.IsZero() {
		s.log.Info("the store's servers answer again", "after", time.Since(s.silent).Round(time.Second))
		s.silent = time.Time{}
	}
}
