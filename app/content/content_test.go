package content_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/identity"
)

func fill[T ~[16]byte | ~[32]byte](b byte) T {
	var t T
	for i := range len(t) {
		switch p := any(&t).(type) {
		case *content.ID:
			p[i] = b
		case *content.ConversationID:
			p[i] = b
		case *[32]byte:
			p[i] = b
		}
	}
	return t
}

func must(t testing.TB) func([]byte, error) []byte {
	return func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// samples is one payload with an item of every kind and one of a kind of the future.
func samples(t testing.TB) *content.Payload {
	ok := must(t)
	sent := time.UnixMilli(1_700_000_000_123).UTC()
	seq := uint64(7)
	act := func(kind content.Kind, body []byte) content.Item {
		seq++
		return content.Item{Flags: content.Numbered | content.WantsReceipt, ID: fill[content.ID](byte(seq) + 100), Sent: sent, Kind: kind, Body: body,
			Place: content.Place{Conversation: fill[content.ConversationID](4), Seq: seq, Prev: fill[[32]byte](byte(seq))}}
	}
	return &content.Payload{
		Author: fill[[32]byte](1), Reader: fill[[32]byte](2),
		Items: []content.Item{
			{Flags: content.Numbered | content.WantsReceipt, ID: fill[content.ID](3), Sent: sent,
				Place: content.Place{Conversation: fill[content.ConversationID](4), Seq: 7, Prev: fill[[32]byte](5)},
				Kind:  content.KindText, Body: ok(content.Text{Text: "Grüße, 世界"}.Marshal())},
			{ID: fill[content.ID](6), Sent: sent, Kind: content.KindReceipt,
				Body: ok(content.Receipt{Hashes: [][32]byte{fill[[32]byte](7)}}.Marshal())},
			{ID: fill[content.ID](8), Sent: sent, Kind: content.KindProfile, Body: ok(content.Profile{Name: "Bob"}.Marshal())},
			{ID: fill[content.ID](9), Sent: sent, Kind: content.KindDescriptors, Flags: content.WantsReceipt,
				Body: ok(content.Descriptors{Version: 11, List: [][]byte{{1, 2, 3}, {4}}}.Marshal())},
			{ID: fill[content.ID](10), Sent: sent, Kind: content.KindPresence,
				Body: ok(content.Presence{Peer: []byte{0, 1}, Addrs: [][]byte{{5, 6}}}.Marshal())},
			{ID: fill[content.ID](11), Sent: sent, Kind: content.KindGaveUp,
				Body: ok(content.GaveUp{Conversation: fill[content.ConversationID](4), Seq: 6, Hash: fill[[32]byte](12)}.Marshal())},
			{ID: fill[content.ID](14), Sent: sent, Kind: content.KindRead, Body: ok(content.Read{IDs: []content.ID{fill[content.ID](3)}}.Marshal())},
			{ID: fill[content.ID](15), Sent: sent, Kind: content.KindRendezvous, Flags: content.WantsReceipt, Body: ok(content.Rendezvous{Seed: fill[[32]byte](16)}.Marshal())},
			{ID: fill[content.ID](17), Sent: sent, Kind: content.KindContext, Body: ok(context().Marshal())},
			act(content.KindReaction, ok(content.Reaction{To: fill[content.ID](3), Emoji: "👍🏽"}.Marshal())),
			act(content.KindEdit, ok(content.Edit{Of: fill[content.ID](3), Text: content.Text{Text: "Grüße!"}}.Marshal())),
			act(content.KindErase, ok(content.Erase{Of: fill[content.ID](3)}.Marshal())),
			act(content.KindTimer, ok(content.Timer{After: 24 * time.Hour, Version: 1_700_000_000_123}.Marshal())),
			act(content.KindIntroduction, ok(content.Introduction{Step: content.StepMeet, ID: fill[content.ID](19), Account: identity.AccountID{20}, Name: "Ben", Link: "godwit:i#x"}.Marshal())),
			{ID: fill[content.ID](21), Sent: sent, Kind: content.KindTyping, Body: ok(content.Typing{Now: true}.Marshal())},
			{ID: fill[content.ID](22), Sent: sent, Kind: content.KindKeeping, Flags: content.WantsReceipt,
				Body: ok(content.Keeping{Relay: []byte{0, 1}, Token: fill[[32]byte](23), Addrs: [][]byte{{5, 6}, {7}}}.Marshal())},
			{ID: fill[content.ID](13), Sent: sent, Kind: 999, Body: []byte("of the future")},
		},
	}
}

// context is one with every field, and one of the future.
func context() content.Context {
	reply := fill[content.ID](18)
	return content.Context{Of: fill[content.ID](3), Reply: &reply, Forwarded: true, Timer: time.Hour, Later: []content.Field{{Tag: 200, Value: []byte("later")}}}
}

// The other forms of what says where mail is kept.
func TestGoldenKeeping(t *testing.T) {
	over, err := content.Keeping{Relay: []byte{0, 1}, Until: time.Unix(1_800_000_000, 0)}.Marshal()
	if got := hex.EncodeToString(over); err != nil || got != "00020001000000006b49d200" {
		t.Errorf("%s, %v", got, err)
	}
	extra, err := content.Descriptors{Version: 11, List: [][]byte{{1, 2, 3}}, Extra: [][]byte{{4}}}.Marshal()
	if got := hex.EncodeToString(extra); err != nil || got != "000000000000000b01000301020301000104" {
		t.Errorf("%s, %v", got, err)
	}
	if d, err := content.ParseDescriptors(append(extra[:len(extra)-4], 0)); !errors.Is(err, content.ErrMalformed) {
		t.Errorf("a list of no extra ones: %v, %v", d, err)
	}
}

// The bytes people's machines exchange do not change unnoticed: those of a payload, and
// those of what people do in chats.
func TestGolden(t *testing.T) {
	acts := map[content.Kind]string{
		content.KindContext:      "030303030303030303030303030303030110121212121212121212121212121212120200030400000e10c8056c61746572",
		content.KindReaction:     "03030303030303030303030303030303f09f918df09f8fbd",
		content.KindEdit:         "030303030303030303030303030303034772c3bcc39f6521",
		content.KindErase:        "03030303030303030303030303030303",
		content.KindTimer:        "000151800000018bcfe5687b",
		content.KindIntroduction: "031313131313131313131313131313131314000000000000000000000000000000000000000000000000000000000000000342656e000a676f647769743a692378",
		content.KindTyping:       "01",
		content.KindKeeping:      "01020001" + strings.Repeat("17", 32) + "0200020506000107",
	}
	p := samples(t)
	var rest []content.Item
	for _, item := range p.Items {
		want, ok := acts[item.Kind]
		if !ok {
			rest = append(rest, item)
			continue
		}
		if got := hex.EncodeToString(item.Body); got != want {
			t.Errorf("%s is %s, want %s", item.Kind, got, want)
		}
	}
	p.Items = rest
	raw := must(t)(p.Marshal())
	sum := sha256.Sum256(raw)
	const want = "d981807f8562685aeb8337611c450da8adee51705988f5b6c658fd93384a921d"
	if got := hex.EncodeToString(sum[:]); got != want {
		t.Errorf("payload of %d bytes has SHA-256 %s, want %s", len(raw), got, want)
	}
}

func TestRoundTripKeepsUnknownKinds(t *testing.T) {
	raw := must(t)(samples(t).Marshal())
	p, err := content.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if again := must(t)(p.Marshal()); !bytes.Equal(raw, again) {
		t.Error("encoding again gives other bytes")
	}
	last := p.Items[len(p.Items)-1]
	if last.Kind != 999 || string(last.Body) != "of the future" || last.Kind.String() != "unknown-999" {
		t.Errorf("the kind of the future became %v %q", last.Kind, last.Body)
	}
	size := content.HeaderSize
	for i := range p.Items {
		size += p.Items[i].Size()
	}
	if size != len(raw) {
		t.Errorf("Size adds up to %d, the payload has %d bytes", size, len(raw))
	}
}

func TestRefused(t *testing.T) {
	raw := must(t)(samples(t).Marshal())
	for n := range raw {
		if _, err := content.Parse(raw[:n]); !errors.Is(err, content.ErrMalformed) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := content.Parse(append(bytes.Clone(raw), 0)); !errors.Is(err, content.ErrMalformed) {
		t.Errorf("a trailing byte: %v", err)
	}
	flags := bytes.Clone(raw)
	flags[content.HeaderSize] |= 0x80
	if _, err := content.Parse(flags); !errors.Is(err, content.ErrMalformed) {
		t.Errorf("unknown flags: %v", err)
	}
	for _, text := range []string{"", "\xff", strings.Repeat("x", content.MaxText+1)} {
		if _, err := (content.Text{Text: text}).Marshal(); err == nil {
			t.Errorf("text %.10q of %d bytes went through", text, len(text))
		}
	}
	if _, err := content.ParseID("AAAA"); err == nil {
		t.Error("a short id went through")
	}
	if id := fill[content.ID](200); func() bool { got, err := content.ParseID(id.String()); return err != nil || got != id }() {
		t.Error("an id does not survive its text form")
	}
}

// What people do in chats has bounds: a reaction is no text, a timer is no threat.
func TestActsAreBounded(t *testing.T) {
	for _, good := range []string{"", "👍", "👍🏽", "❤️", "1️⃣", "#️⃣", "🇦🇷", "👩‍👩‍👧‍👦", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "‼️", "ℹ️", "™"} {
		if _, err := (content.Reaction{Emoji: good}).Marshal(); err != nil {
			t.Errorf("%q is no reaction: %v", good, err)
		}
	}
	for _, bad := range []string{"no", "1", " ", "👍 ", "\u202e👍", "\u200d", "\ufe0f", "👍\n", "\xff", "ال", strings.Repeat("👍", 17)} {
		if _, err := (content.Reaction{Emoji: bad}).Marshal(); err == nil {
			t.Errorf("%q is a reaction", bad)
		}
	}
	for _, after := range []time.Duration{-time.Second, time.Millisecond, content.MaxTimer + time.Second} {
		if _, err := (content.Timer{After: after}).Marshal(); err == nil {
			t.Errorf("a timer of %s went through", after)
		}
		if _, err := (content.Context{Timer: after}).Marshal(); err == nil {
			t.Errorf("a message that disappears after %s went through", after)
		}
	}
	if _, err := content.ParseTimer(bytes.Repeat([]byte{0xff}, 12)); !errors.Is(err, content.ErrMalformed) {
		t.Errorf("a timer of a century: %v", err)
	}
	if _, err := content.ParseContext(append(make([]byte, 16), 3, 4, 0, 0, 0, 0)); !errors.Is(err, content.ErrMalformed) {
		t.Errorf("a context with a timer of nothing: %v", err)
	}
	if _, err := (content.Edit{Text: content.Text{Text: strings.Repeat("x", content.MaxEdit+1)}}).Marshal(); err == nil {
		t.Error("an edit that does not fit went through")
	}
	for _, bad := range []content.Introduction{
		{Step: content.StepAsk, Name: "Carol", Link: "godwit:i#x"}, {Step: content.StepMeet, Name: "Ben"}, {Step: content.StepAgree, Name: "Ben", Link: "x"}, {Name: "Ben"},
	} {
		if _, err := bad.Marshal(); err == nil {
			t.Errorf("an introduction %+v went through", bad)
		}
	}
}

// A version that knows fewer fields reads what it knows.
func TestContextOfALaterVersion(t *testing.T) {
	c, err := content.ParseContext(must(t)(context().Marshal()))
	if err != nil || c.Reply == nil || *c.Reply != fill[content.ID](18) || !c.Forwarded || c.Timer != time.Hour || len(c.Later) != 1 {
		t.Errorf("the context became %+v, %v", c, err)
	}
}

func TestConversationIsTheSameFromBothSides(t *testing.T) {
	a, b := identity.AccountID{1}, identity.AccountID{2}
	if content.Between(a, b) != content.Between(b, a) || content.Between(a, b) == content.Between(a, a) {
		t.Error("Between depends on the side, or not on the people")
	}
}

func TestHashCoversEveryField(t *testing.T) {
	base := samples(t).Items[0]
	h := base.Hash()
	for name, change := range map[string]func(*content.Item){
		"id":           func(it *content.Item) { it.ID[0]++ },
		"sent":         func(it *content.Item) { it.Sent = it.Sent.Add(time.Millisecond) },
		"conversation": func(it *content.Item) { it.Place.Conversation[0]++ },
		"seq":          func(it *content.Item) { it.Place.Seq++ },
		"prev":         func(it *content.Item) { it.Place.Prev[0]++ },
		"kind":         func(it *content.Item) { it.Kind++ },
		"body":         func(it *content.Item) { it.Body = append(it.Body, 'x') },
		"flags":        func(it *content.Item) { it.Flags = content.WantsReceipt },
	} {
		it := base
		it.Body = bytes.Clone(base.Body)
		change(&it)
		if it.Hash() == h {
			t.Errorf("%s does not change the hash", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := content.Parse(raw)
		if err != nil {
			return
		}
		again, err := p.Marshal()
		if err != nil || !bytes.Equal(raw, again) {
			t.Fatalf("not canonical: %x became %x, %v", raw, again, err)
		}
	})
}

// FuzzBodies holds every body decoder to one encoding per value.
func FuzzBodies(f *testing.F) {
	bodies := []func([]byte) (interface{ Marshal() ([]byte, error) }, error){
		func(b []byte) (interface{ Marshal() ([]byte, error) }, error) { return content.ParseText(b) },
		func(b []byte) (interface{ Marshal() ([]byte, error) }, error) { return content.ParseReceipt(b) },
		func(b []byte) (interface{ Marshal() ([]byte, error) }, error) { return content.ParseProfile(b) },
		func(b []byte) (interface{ Marshal() ([]byte, error) }, error) { return content.ParseDescriptors(b) },
		func(b []byte) (interface{ Marshal() ([]byte, error) }, error) { return content.ParsePresence(b) },
		func(b []byte) (interface{ Marshal() ([]byte, error) }, error) { return content.ParseGaveUp(b) },
		func(b []byte) (interface{ Marshal() ([]byte, error) }, error) { return content.ParseRead(b) },
		func(b []byte) (interface{ Marshal() ([]byte, error) }, error) { return content.ParseRendezvous(b) },
		func(b []byte) (interface{ Marshal() ([]byte, error) }, error) { return content.ParseManifest(b) },
		func(b []byte) (interface{ Marshal() ([]byte, error) }, error) { return content.ParseContext(b) },
		func(b []byte) (interface{ Marshal() ([]byte, error) }, error) { return content.ParseReaction(b) },
		func(b []byte) (interface{ Marshal() ([]byte, error) }, error) { return content.ParseEdit(b) },
		func(b []byte) (interface{ Marshal() ([]byte, error) }, error) { return content.ParseErase(b) },
		func(b []byte) (interface{ Marshal() ([]byte, error) }, error) { return content.ParseTimer(b) },
		func(b []byte) (interface{ Marshal() ([]byte, error) }, error) { return content.ParseTyping(b) },
		func(b []byte) (interface{ Marshal() ([]byte, error) }, error) { return content.ParseIntroduction(b) },
		func(b []byte) (interface{ Marshal() ([]byte, error) }, error) { return content.ParseKeeping(b) },
	}
	root := identity.RootFromEntropy(fill[[32]byte](1))
	device, agreement := identity.NewDevicePrivate(fill[[32]byte](2)), identity.NewAgreementPrivate(fill[[32]byte](3))
	f.Add(identity.RestartChain(root, device, agreement.Public(), time.UnixMilli(1_700_000_000_123), 0).Marshal())
	f.Add([]byte("text"))
	f.Add(append([]byte{1}, make([]byte, 32)...))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 2, 9, 9})
	f.Add([]byte{2, 0, 1, 1, 0, 2, 5, 6})
	f.Add(make([]byte, 72))
	for _, v := range []interface{ Marshal() ([]byte, error) }{
		content.Descriptors{Version: 1, List: [][]byte{{9}}, Extra: [][]byte{{8}, {7}}},
		content.Keeping{Relay: []byte{1, 2}, Token: fill[[32]byte](3), Addrs: [][]byte{{4}, {5, 6}}},
		content.Keeping{Relay: []byte{1, 2}, Until: time.Unix(1_800_000_000, 0)},
	} {
		body, err := v.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	for _, item := range samples(f).Items {
		f.Add(item.Body)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for i, parse := range bodies {
			v, err := parse(raw)
			if err != nil {
				continue
			}
			if again, err := v.Marshal(); err != nil || !bytes.Equal(raw, again) {
				t.Fatalf("decoder %d is not canonical: %x became %x, %v", i, raw, again, err)
			}
		}
	})
}
