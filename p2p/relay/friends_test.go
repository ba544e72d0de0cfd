package relay_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
	"github.com/godwit-im/godwit/p2p/relay"
)

// Anna keeps mail for her friends Ben and Cleo, a share for each. A stranger has no box there, whatever
// work they would do. Ben's share fills up; then the cap is reached for both. What was kept, who
// uses it and what it cost this month outlive a restart. At last it is closed: nothing is lost.
func TestForFriends(t *testing.T) {
	const daily = 1 << 30
	ben, cleo := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	limits := relay.Limits{
		MaxDisk: 64 << 20, Daily: daily, Friends: [][]byte{ben, cleo}, Keep: 14 * 24 * time.Hour,
		Quotas: mailbox.Quotas{Room: mailbox.Room{QueueCells: 512, QueueBytes: 8 << 20, BoxQueues: 100, BoxBytes: 2 * mailbox.CellLarge}},
	}
	dir := t.TempDir()
	h := run(t, relay.Config{Data: dir, Friends: true, Limits: limits})
	h.until(t, relay.Serving)
	enter := func(p *person, token []byte) error {
		t.Helper()
		if _, err := p.Login(t.Context(), p.key); err != nil {
			t.Fatal(err)
		}
		_, err := p.Lease(t.Context(), p.key.Public(), token)
		return err
	}
	arrive := func(token []byte) *person {
		t.Helper()
		p := &person{Client: dial(t, h.info()), key: mailbox.FriendBox(h.ID(), token)}
		if err := enter(p, token); err != nil {
			t.Fatal(err)
		}
		return p
	}
	stranger := &person{Client: dial(t, h.info()), key: mailbox.GenerateBox()}
	if err := enter(stranger, nil); !errors.Is(err, mailbox.ErrLease) {
		t.Errorf("a stranger: %v", err)
	}
	b := arrive(ben)
	d, err := mailbox.NewDescriptor(h.info(), b.Now(), b.Limits())
	if err != nil {
		t.Fatal(err)
	}
	b.queue = d.Queue(b.Epoch())
	if err := b.Open(t.Context(), mailbox.Ordinary, d.Expiry, b.queue.Write.QID()); err != nil {
		t.Fatal(err)
	}
	writer := dial(t, h.info())
	put := func() error {
		_, err := writer.Put(t.Context(), b.queue.Write, mailboxtest.Random(mailbox.CellLarge), 0)
		return err
	}
	for range 2 {
		if err := put(); err != nil {
			t.Fatal(err)
		}
	}
	if err := put(); !errors.Is(err, mailbox.ErrBoxFull) {
		t.Errorf("more than Ben's share: %v", err)
	}
	small := limits
	small.MaxDisk, small.Quotas.BoxBytes = 8<<20, 64<<20
	if err := h.SetLimits(small); err != nil {
		t.Fatal(err)
	}
	kept := 2
	for err = put(); err == nil && kept < 200; err = put() {
		kept++
	}
	if !errors.Is(err, mailbox.ErrFull) {
		t.Errorf("more than the cap, after %d cells: %v", kept, err)
	}
	if full := h.until(t, relay.Full); full.Reason == "" {
		t.Error("it does not say why it is full")
	}
	before := h.Report()
	if d := before.Day; d == nil || d.Limit != daily || d.Used < int64(kept)*mailbox.CellLarge || d.Spent() {
		t.Errorf("%+v of a day's traffic", d)
	}
	// What a crash would forget of it is little: it is on the disk soon.
	end := time.Now().Add(10 * time.Second)
	for tick := time.Tick(100 * time.Millisecond); ; <-tick {
		var onDisk struct{ Day struct{ Used int64 } }
		if raw, err := os.ReadFile(filepath.Join(dir, "history")); err == nil {
			if err := json.Unmarshal(raw, &onDisk); err != nil {
				t.Fatal(err)
			}
		}
		if onDisk.Day.Used >= before.Day.Used-before.Day.Used/100-4<<20 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("of %d bytes that were used %d are on the disk", before.Day.Used, onDisk.Day.Used)
		}
	}
	if f := before.Friends; f == nil || *f != (relay.Friends{Tokens: 2, Using: 1, Mail: 1}) {
		t.Errorf("%+v", f)
	}
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}

	h = run(t, relay.Config{Data: dir, Friends: true, Limits: limits})
	h.until(t, relay.Serving)
	r := h.Report()
	if d := r.Day; d.Used > before.Day.Used || d.Used < before.Day.Used-daily/100 { // some of it has come back
		t.Errorf("after the restart %+v of a day's traffic are used, before %+v", d, before.Day)
	}
	if r.Cells != int64(kept) || *r.Friends != *before.Friends || r.Month.Taken != before.Month.Taken || r.Month.Taken < 2*mailbox.CellLarge || !r.Month.Since.Equal(before.Month.Since) {
		t.Errorf("after the restart %+v, before %+v", r, before)
	}
	b = arrive(ben)
	// Ben is a friend no more, for a while: his share takes nothing, but what is there is his.
	watched := make(chan error, 1)
	go func() { watched <- b.Watch(t.Context(), 0, func([]mailbox.Entry) error { return nil }) }()
	late := &person{Client: dial(t, h.info()), key: mailbox.FriendBox(h.ID(), ben)}
	if _, err := late.Login(t.Context(), late.key); err != nil {
		t.Fatal(err)
	}
	limits.Friends = [][]byte{cleo}
	if err := h.SetLimits(limits); err != nil {
		t.Fatal(err)
	}
	if err := <-watched; !errors.Is(err, mailbox.ErrClosed) {
		t.Errorf("Ben's connection ended with %v", err)
	}
	if _, err := late.Lease(t.Context(), late.key.Public(), ben); !errors.Is(err, mailbox.ErrLease) {
		t.Errorf("a token that is good no more, on a connection from before: %v", err)
	}
	writer = dial(t, h.info())
	if _, err := writer.Put(t.Context(), d.Queue(b.Epoch()).Write, mailboxtest.Random(mailbox.CellSmall), 0); !errors.Is(err, mailbox.ErrLease) {
		t.Errorf("a deposit for who is a friend no more: %v", err)
	}
	late = &person{Client: dial(t, h.info()), key: late.key}
	if info, err := late.Login(t.Context(), late.key); err != nil || info.Until.After(late.Now()) || info.Used == 0 {
		t.Errorf("%+v, %v", info, err)
	}
	if entries, _, err := late.List(t.Context(), 0); err != nil || len(entries) != kept {
		t.Errorf("%d cells, %v", len(entries), err)
	} else if _, err := late.Get(t.Context(), entries[0].Cell); err != nil {
		t.Error(err)
	}
	if f := h.Report().Friends; *f != (relay.Friends{Tokens: 1, Using: 0, Mail: 0}) {
		t.Errorf("%+v", f)
	}
	limits.Friends = [][]byte{ben, cleo}
	if err := h.SetLimits(limits); err != nil {
		t.Fatal(err)
	}
	arrive(ben)
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	// He is blocked while the relay does not run, which hears of it at its start; and then a friend again.
	limits.Friends, limits.Former = [][]byte{cleo}, [][]byte{ben}
	h = run(t, relay.Config{Data: dir, Friends: true, Limits: limits})
	h.until(t, relay.Serving)
	ended := false
	for end := time.Now().Add(30 * time.Second); !ended && time.Now().Before(end); {
		info, err := dial(t, h.info()).Login(t.Context(), late.key)
		if err != nil {
			t.Fatal(err)
		}
		ended = !info.Until.After(time.Now())
	}
	if !ended {
		t.Error("his lease did not end")
	}
	limits.Friends, limits.Former = [][]byte{ben, cleo}, nil
	if err := h.SetLimits(limits); err != nil {
		t.Fatal(err)
	}
	b = arrive(ben)
	limits.Closed = true
	if err := h.SetLimits(limits); err != nil {
		t.Fatal(err)
	}
	h.until(t, relay.Draining)
	writer = dial(t, h.info())
	if _, err := writer.Put(t.Context(), d.Queue(b.Epoch()).Write, mailboxtest.Random(mailbox.CellSmall), 0); !errors.Is(err, mailbox.ErrTryLater) {
		t.Errorf("a deposit at a relay that is about to go: %v", err)
	}
	entries, _, err := b.List(t.Context(), 0)
	if err != nil || len(entries) != kept {
		t.Fatalf("%d cells, %v", len(entries), err)
	}
	var ids []mailbox.CellID
	for _, e := range entries {
		cell, err := b.Get(t.Context(), e.Cell)
		if err != nil || mailbox.IDOf(cell) != e.Cell {
			t.Fatal(err)
		}
		ids = append(ids, e.Cell)
	}
	if _, err := b.Ack(t.Context(), ids...); err != nil {
		t.Fatal(err)
	}
	if r := h.Report(); r.Cells != 0 || r.Friends.Mail != 0 || r.Given != int64(kept)*mailbox.CellLarge || !slices.Equal(r.Allows.Leases, []string{"token"}) {
		t.Errorf("%+v", r)
	}
}
