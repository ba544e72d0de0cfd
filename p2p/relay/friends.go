package relay

import (
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
)

// Friends says how those use a relay who have a token for a box of their own.
type Friends struct {
	Tokens int `json:"tokens"` // that were given out
	Using  int `json:"using"`  // boxes that have a lease
	Mail   int `json:"mail"`   // boxes in which mail waits
}

// friends is nil if the relay is for others too.
func (r *Relay) friends() *Friends {
	if !r.cfg.Friends {
		return nil
	}
	var f Friends
	now := time.Now()
	for _, token := range r.Limits().Friends {
		f.Tokens++
		box, err := r.store.Box(mailbox.FriendBox(r.ID(), token).Public())
		if err != nil {
			continue // the store failed, which ends the relay
		}
		if box.Until.After(now) {
			f.Using++
		}
		if box.Used > 0 {
			f.Mail++
		}
	}
	return &f
}
