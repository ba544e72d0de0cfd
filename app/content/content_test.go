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

func must(t *testing.T) func([]byte, error) []byte {
	return func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// samples is one payload with an item of every kind and one of a kind of the future.
func samples(t *testing.T) *content.Payload {
	ok := must(t)
	sent := time.UnixMilli(1_700_000_000_123).UTC()
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
			{ID: fill[content.ID](13), Sent: sent, Kind: 999, Body: []byte("of the future")},
		},
	}
}

// The bytes people's machines exchange do not change unnoticed.
func TestGolden(t *testing.T) {
	raw := must(t)(samples(t).Marshal())
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
	}
	root := identity.RootFromEntropy(fill[[32]byte](1))
	device, agreement := identity.NewDevicePrivate(fill[[32]byte](2)), identity.NewAgreementPrivate(fill[[32]byte](3))
	f.Add(identity.RestartChain(root, device, agreement.Public(), time.UnixMilli(1_700_000_000_123), 0).Marshal())
	f.Add([]byte("text"))
	f.Add(append([]byte{1}, make([]byte, 32)...))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 2, 9, 9})
	f.Add([]byte{2, 0, 1, 1, 0, 2, 5, 6})
	f.Add(make([]byte, 72))
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
