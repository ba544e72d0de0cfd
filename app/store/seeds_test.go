package store

import (
	"testing"
	"time"
)

func TestSeeds(t *testing.T) {
	s := openNew(t)
	withBob(t, s)
	seed := func(n byte) (x [32]byte) { x[0] = n; return x }
	at := func(days int) time.Time { return day0().AddDate(0, 0, days) }
	own := func() []OwnSeed { return get(t, s, func(tx *Tx) ([]OwnSeed, error) { return tx.OwnSeeds(bobsPhone) }) }
	tells := func(made, now time.Time) {
		t.Helper()
		update(t, s, func(tx *Tx) error { return tx.TellSeeds(bobsPhone, made, now) })
	}
	var list []OwnSeed
	for i := range 3 {
		o := OwnSeed{Device: bobsPhone, Seed: seed(byte(i)), Made: at(30 * i)}
		update(t, s, func(tx *Tx) (err error) {
			o.ID, err = tx.InsertOwnSeed(o)
			return err
		})
		list = append(list, o)
	}
	same(t, "seeds", own(), list)
	tells(at(-1), at(91)) // an acknowledgement of something before
	same(t, "seeds", own(), list)
	tells(at(30), at(91))
	list[1].Told = at(91)
	same(t, "seeds once the second was acknowledged", own(), list[1:])
	tells(at(60), at(92))
	list[2].Told = at(92)
	same(t, "seeds once the third was acknowledged", own(), list[2:])

	theirs := func() (TheirSeed, error) {
		var x TheirSeed
		err := s.View(t.Context(), func(tx *Tx) (err error) {
			x, err = tx.TheirSeed(bobsPhone)
			return err
		})
		return x, err
	}
	puts := func(x TheirSeed, want bool) {
		t.Helper()
		update(t, s, func(tx *Tx) error {
			newer, err := tx.PutTheirSeed(x)
			same(t, "newer", newer, want)
			return err
		})
	}
	_, err := theirs()
	is(t, "no seed", err, ErrNotFound)
	first, second := TheirSeed{Device: bobsPhone, Seed: seed(7), Made: at(1)}, TheirSeed{Device: bobsPhone, Seed: seed(8), Made: at(2)}
	puts(first, true)
	update(t, s, func(tx *Tx) error { return tx.SawRecord(bobsPhone, at(3)) })
	first.Seq = at(3)
	got, err := theirs()
	is(t, "read", err, nil)
	same(t, "their seed", got, first)
	puts(second, true) // records of another seed count anew
	puts(first, false)
	got, err = theirs()
	is(t, "read", err, nil)
	same(t, "their newer seed", got, second)

	bob := get(t, s, func(tx *Tx) (Contact, error) { return tx.ContactByDevice(bobsPhone) })
	update(t, s, func(tx *Tx) error { return tx.ForgetContact(bob.ID, at(100)) })
	_, err = theirs()
	is(t, "their seed once they are forgotten", err, ErrNotFound)
	same(t, "seeds once they are forgotten", len(own()), 0)
}
