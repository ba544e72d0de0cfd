package disk

import (
	"fmt"

	"github.com/godwit-im/godwit/p2p/mailbox"
)

// SetLimits changes the cap and the quotas from the next group on. What is kept stays, also
// if it is more than may now be: deposits are then refused until enough of it is gone.
// On an error nothing is changed.
func (s *Store) SetLimits(maxBytes uint64, q mailbox.Quotas) error {
	if err := checkCap(maxBytes); err != nil {
		return err
	}
	s.commit.Lock()
	defer s.commit.Unlock()
	s.max.Store(maxBytes)
	s.quotas = q
	return nil
}

// segment is the size at which a segment of the log is closed, in bytes.
func (s *Store) segment() int64 { return int64(min(max(s.max.Load()/128, minSegment), maxSegment)) }

func checkCap(maxBytes uint64) error {
	if maxBytes < minMaxBytes {
		return fmt.Errorf("disk: a cap of %d bytes is too small, at least %d", maxBytes, minMaxBytes)
	}
	return nil
}
