package store

import "time"

// Meeting is an introduction of two contacts to each other that waits for the first of
// them to agree.
type Meeting struct {
	ID     MessageID // the same in all steps
	First  int64     // row of the contact who was asked
	Second int64     // of the one who is told then
	At     time.Time
}

// MeetingsFor is how long an introduction waits.
const MeetingsFor = 60 * 24 * time.Hour

// InsertMeeting keeps an introduction.
func (tx *Tx) InsertMeeting(m Meeting) error {
	return tx.run("INSERT INTO meetings (id, first, second, at) VALUES (?, ?, ?, ?)", m.ID[:], m.First, m.Second, m.At.UnixMilli())
}

// Meeting returns an introduction that waits.
func (tx *Tx) Meeting(id MessageID) (Meeting, error) {
	return one(tx, func(r row) (m Meeting, err error) {
		m.ID = id
		err = r.Scan(&m.First, &m.Second, stamp{&m.At})
		return m, err
	}, "SELECT first, second, at FROM meetings WHERE id = ?", id[:])
}

// DeleteMeeting forgets an introduction.
func (tx *Tx) DeleteMeeting(id MessageID) error {
	return tx.must("DELETE FROM meetings WHERE id = ?", id[:])
}
