package disk

import (
	"bytes"
	"errors"
	"testing"

	"github.com/godwit-im/godwit/p2p/mailbox"
)

// records is one of each.
func records() []record {
	small, notice := bytes.Repeat([]byte{7}, mailbox.CellSmall), bytes.Repeat([]byte{8}, mailbox.NoticeSize)
	box, q, c, n := mailbox.BoxPublic{1}, mailbox.QID{2}, mailbox.CellID{3}, mailbox.NoticeID{4}
	return []record{
		&deposited{box, q, c, 5, 6, small}, &extended{box, c, 7}, &deleted{box, []mailbox.CellID{c, {9}}},
		&opened{box, mailbox.Invite, 8, []mailbox.QID{q, {1}}}, &closed{box, []mailbox.QID{q}}, &leased{box, 9, false}, &leased{box, 9, true},
		&posted{box, n, 10, notice}, &unposted{n}, &expired{11, 12}, &movedCell{box, c, small}, &movedNotice{n, notice},
		&introduced{box, q, c, 13, 14, mailbox.MaxIntroWork, notice}, &opened{box, mailbox.Intro, 8, []mailbox.QID{q}}, &forgotten{box},
		&gathered{[]cellKey{{box, c}, {mailbox.BoxPublic{2}, c}}, []cell{{expiry: 1, queue: q, size: mailbox.CellSmall}, {expiry: 2, queue: q, size: mailbox.CellMedium, work: 3}}, append(bytes.Clone(small), notice...)},
		&dropped{1 << 40, 5}, &ended{box, 10, false}, &ended{box, 10, true},
		&resettled{gathered{[]cellKey{{box, c}}, []cell{{expiry: 1, queue: q, size: mailbox.CellSmall, sequence: 15, came: 16}}, small}}, &numbered{box, 17},
	}
}

func groupOf(at location, rs ...record) []byte {
	b := beginGroup(nil, noon)
	for _, r := range rs {
		b = r.append(b)
	}
	endGroup(b, at)
	return b
}

func TestGroups(t *testing.T) {
	at := location{3, 17}
	b := groupOf(at, records()...)
	now, rs, ats, err := parseGroup(b, at)
	if err != nil || !now.Equal(noon) || len(rs) != len(records()) {
		t.Fatal(now, len(rs), err)
	}
	for i, r := range rs {
		if !bytes.Equal(r.append(nil), records()[i].append(nil)) {
			t.Fatalf("record %d is another", i)
		}
		if from := ats[i].offset - at.offset; r.blob() != nil && !bytes.Equal(b[from:from+uint64(len(r.blob()))], r.blob()) {
			t.Fatalf("record %d lies elsewhere", i)
		}
	}
	for _, other := range []location{{3, 18}, {4, 17}} { // a group that belongs elsewhere is no group
		if _, _, _, err := parseGroup(b, other); !errors.Is(err, errRecord) {
			t.Fatal(err)
		}
	}
	small := groupOf(at, records()[1:6]...)
	for i := range small {
		flipped := bytes.Clone(small)
		flipped[i] ^= 0x10
		if _, _, _, err := parseGroup(flipped, at); !errors.Is(err, errRecord) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
		if _, _, _, err := parseGroup(small[:i], at); !errors.Is(err, errRecord) {
			t.Fatalf("cut to %d bytes: %v", i, err)
		}
	}
}

// FuzzGroup: what parses is what would be written, byte for byte.
func FuzzGroup(f *testing.F) {
	f.Add(groupOf(location{}, records()...)[groupHead+8:])
	for _, r := range records() {
		f.Add(r.append(nil))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > maxGroup {
			return
		}
		b := append(beginGroup(nil, noon), body...)
		endGroup(b, location{})
		_, rs, _, err := parseGroup(b, location{})
		if err != nil {
			if !errors.Is(err, errRecord) {
				t.Fatal(err)
			}
			return
		}
		if got := groupOf(location{}, rs...); !bytes.Equal(got, b) {
			t.Fatalf("%x was read as %x", b, got)
		}
	})
}

// FuzzRow: the values of the index are canonical.
func FuzzRow(f *testing.F) {
	f.Add(totals{end: location{1, 2}, time: 3, cells: 4}.value())
	f.Add(box{until: 1, used: 2, sequence: 3, queues: 4, notices: 5, token: true}.value())
	f.Add(box{until: 1, used: 2, sequence: 3, queues: 4, notices: 5}.value()[:32])
	f.Add(queue{class: mailbox.Ordinary, until: 1, cells: 2, bytes: 3}.value())
	f.Add(cell{sequence: 1, expiry: 2, at: location{3, 4}, size: mailbox.CellLarge}.value())
	f.Add(cell{sequence: 1, expiry: 2, at: location{3, 4}, size: mailbox.CellMedium, work: 7, came: 5}.value())
	f.Add(cell{sequence: 1, expiry: 2, at: location{3, 4}, size: mailbox.CellSmall}.value()[:65])
	f.Add(notice{expiry: 1, at: location{2, 3}}.value())
	f.Add(bundle{[]bundled{{size: mailbox.CellSmall}, {size: mailbox.CellMedium}}, 2}.value())
	f.Fuzz(func(t *testing.T, raw []byte) {
		check := func(got []byte, ok bool) {
			if ok && !bytes.Equal(got, raw) {
				t.Fatalf("%x was read as %x", raw, got)
			}
		}
		if v, ok := parseTotals(raw); ok {
			check(v.value(), ok)
		}
		if v, ok := parseBox(raw); ok {
			check(v.value()[:len(raw)], ok) // a byte less: of version 2
		}
		if v, ok := parseQueue(raw); ok {
			check(v.value(), ok)
		}
		if v, ok := parseCell(raw); ok {
			got := v.value()
			if len(raw) == 65 { // of version 1
				got = got[:65]
			}
			check(got, ok)
		}
		if v, ok := parseNotice(raw); ok {
			check(v.value(), ok)
		}
		if v, ok := parseBundle(raw); ok {
			check(v.value(), ok)
		}
	})
}

// FuzzEntry: what a log of a View tells is taken as it was put, or refused.
func FuzzEntry(f *testing.F) {
	for i, r := range records() {
		head := r.append(appendEntryHead(nil, entryVersion(r), i%2 == 0, noon))
		f.Add(head[:len(head)-len(r.blob())], len(r.blob()))
	}
	f.Fuzz(func(t *testing.T, head []byte, size int) {
		r, adds, now, err := parseEntry(head, size)
		if err != nil {
			return
		}
		again := r.append(appendEntryHead(nil, entryVersion(r), adds, now))
		if !bytes.Equal(again[:len(again)-size], head) {
			t.Fatalf("%x read and written again is %x", head, again)
		}
	})
}
