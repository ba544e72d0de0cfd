// Package sample fills a new profile with people who do not exist and what they might have
// said, for benchmarks and screenshots. The same Size and time always make the same.
//
// The people have no devices: nothing is sent to them, and what is written to them is refused.
package sample

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/godwit-im/godwit/app"
	"github.com/godwit-im/godwit/app/api"
	"github.com/godwit-im/godwit/app/config"
	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/problem"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/identity/vault"
)

// Size is how much there is to be. Half of the messages are in the first conversation, the
// rest is spread over all, the first ones having more.
type Size struct {
	Conversations int // 0: 200
	Messages      int // 0: 100,000
}

// batch is how many messages share a transaction.
const batch = 2000

// span is over how long a time the messages are spread, up to now.
const span = 3 * 365 * 24 * time.Hour

// Profile makes the account of a profile, if there is none, and fills it. It refuses one
// that knows somebody already. Nobody else may use the profile meanwhile.
func Profile(ctx context.Context, cfg config.Config, size Size, now time.Time) error {
	if _, err := app.Create(ctx, cfg, api.InitRequest{Name: "Sam"}); err != nil && !errors.Is(err, problem.AccountExists) {
		return err
	}
	lock, err := config.Acquire(cfg.Dirs)
	if err != nil {
		return err
	}
	return errors.Join(fill(ctx, cfg, size, now), lock.Release())
}

func fill(ctx context.Context, cfg config.Config, size Size, now time.Time) error {
	v, err := vault.Open(cfg.Dirs.Data, vault.Options{})
	if err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	s, err := store.Open(ctx, filepath.Join(cfg.Dirs.Data, app.DatabaseName), v.Secrets().Database, store.Options{CacheKiB: 64 << 10})
	if err != nil {
		return err
	}
	return errors.Join(Fill(ctx, s, size, now), s.Close())
}

// Fill fills the store of an account that knows nobody yet.
func Fill(ctx context.Context, s *store.Store, size Size, now time.Time) error {
	if size.Conversations == 0 {
		size.Conversations = 200
	}
	if size.Messages == 0 {
		size.Messages = 100_000
	}
	f := &filler{size: size, now: now, rand: rand.New(rand.NewPCG(1, 2))}
	if err := s.Update(ctx, f.people); err != nil {
		return err
	}
	for f.done < size.Messages {
		if err := s.Update(ctx, f.messages); err != nil {
			return err
		}
	}
	return s.Update(ctx, f.arrange)
}

// filler is a store that is being filled.
type filler struct {
	size    Size
	now     time.Time
	rand    *rand.Rand
	account store.Account
	talks   []talk
	done    int // messages
}

// talk is a conversation with somebody.
type talk struct {
	conversation int64
	device       identity.DevicePublic
	language     language
	mine, theirs uint64 // messages so far
	last         bool   // was mine
}

// people adds the contacts and their conversations.
func (f *filler) people(tx *store.Tx) error {
	known, err := tx.Contacts()
	if err != nil {
		return err
	}
	if len(known) > 0 {
		return errors.New("sample: the profile knows people already")
	}
	if f.account, err = tx.Account(); err != nil {
		return err
	}
	languages := languages()
	for i := range f.size.Conversations {
		l := languages[0] // half of them
		if i%2 == 1 {
			l = languages[i/2%len(languages)]
		}
		name := l.names[i%len(l.names)]
		if i >= len(l.names) {
			name += fmt.Sprintf(" %s.", string(rune('A'+i/len(l.names)%26)))
		}
		if i >= 26*len(l.names) {
			name += fmt.Sprint(" ", i)
		}
		account := identity.AccountID(sha256.Sum256(fmt.Appendf(nil, "godwit/sample/%d", i)))
		who := store.Contact{Account: account, Name: name, Petname: fmt.Sprintf("%s %d", name, i), Kind: store.ContactKnown, PinSuite: identity.Suite, Created: f.now.Add(-span)}
		if _, err := tx.ContactByPetname(name); errors.Is(err, store.ErrNotFound) {
			who.Petname = name
		} else if err != nil {
			return err
		}
		if i%7 == 0 {
			who.Verified = f.now.Add(-span)
		}
		row, err := tx.InsertContact(who)
		if err != nil {
			return err
		}
		conv := store.Conversation{Conversation: store.ConversationID(content.Between(f.account.ID, account)), Contact: row, SendSeq: 1}
		if conv.ID, err = tx.InsertConversation(conv); err != nil {
			return err
		}
		f.talks = append(f.talks, talk{conversation: conv.ID, device: identity.DevicePublic(account), language: l})
	}
	return nil
}

// messages adds the next batch.
func (f *filler) messages(tx *store.Tx) error {
	tx.Lazy()
	for range min(batch, f.size.Messages-f.done) {
		at := f.now.Add(-span + span/time.Duration(f.size.Messages)*time.Duration(f.done+1)).Truncate(time.Millisecond)
		to := 0
		if f.done%2 == 1 { // over all, the first ones more often
			to = int(float64(len(f.talks)) * f.rand.Float64() * f.rand.Float64())
		}
		if left := f.size.Messages - f.done; left <= len(f.talks) {
			to = left - 1 // in the end each says something
		}
		if err := f.say(tx, &f.talks[to], at); err != nil {
			return err
		}
		f.done++
	}
	_, err := tx.Index(batch)
	return err
}

func (f *filler) say(tx *store.Tx, t *talk, at time.Time) error {
	m := store.Message{Conversation: t.conversation, Author: t.device, Sent: at.UTC(), At: at, Kind: int(content.KindText), Body: []byte(t.language.text(f.rand)),
		State: store.Received, Shown: true}
	binary.BigEndian.PutUint64(m.Message[:], f.rand.Uint64())
	binary.BigEndian.PutUint64(m.Message[8:], uint64(f.done))
	if f.rand.IntN(10) < 4 { // people say several things at a time
		t.last = !t.last
	}
	if t.last {
		t.mine++
		m.Mine, m.Author, m.State, m.Seq, m.Expires = true, f.account.Device, store.Delivered, t.mine, at.Add(30*24*time.Hour)
		switch n := f.rand.IntN(1000); {
		case n == 0:
			m.State, m.Reason = store.Failed, string(problem.Expired)
		case n < 700:
			m.State = store.Read
		}
	} else {
		t.theirs++
		m.Seq = t.theirs
	}
	_, err := tx.InsertMessage(m)
	return err
}

// arrange has some conversations pinned, muted, put away, unread or begun to be answered.
func (f *filler) arrange(tx *store.Tx) error {
	for i, t := range f.talks {
		conv, err := tx.Conversation(t.conversation)
		if err != nil {
			return err
		}
		if err := tx.AdvanceSend(conv.ID, t.mine+1, conv.SendPrev); err != nil {
			return err
		}
		if err := tx.PutStream(store.Stream{Device: t.device, Conversation: conv.ID, NextSeq: t.theirs + 1}); err != nil {
			return err
		}
		list, err := tx.Messages(conv.ID, 0, 30)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			continue
		}
		read := len(list) - 1
		if i%9 == 4 {
			read -= min(read, 1+f.rand.IntN(20))
		}
		if _, err := tx.MarkRead(conv.ID, list[read].ID); err != nil {
			return err
		}
		if i%5 == 0 {
			if err := tx.Star(list[0].ID, f.now); err != nil {
				return err
			}
		}
		switch {
		case i == 2 || i == 5:
			conv.Pinned = f.now
		case i == 3:
			conv.Draft = "I wanted to say"
		case i%11 == 7:
			conv.MutedUntil = f.now.AddDate(10, 0, 0)
		case i%13 == 12:
			conv.Archived = f.now
		}
		if err := tx.ArrangeConversation(conv); err != nil {
			return err
		}
	}
	return nil
}
