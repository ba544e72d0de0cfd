package identity

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"
)

// Bob makes an invitation, leaves its notice at a relay and gives Alice the
// link; she finds the notice by the link and in it his bundle.
func TestBobInvitesAlice(t *testing.T) {
	bob := somebody('b')
	bundle := bob.bundle(t, 1, true).Marshal()
	made := NewInvitation(Single, bob.chain.Account(), []Hint{relayHint(1), relayHint(2), relayHint(3)})
	notice, err := made.SealNotice(bundle)
	if err != nil {
		t.Fatal(err)
	}
	relay := map[[32]byte][]byte{made.NoticeID(): notice}

	link := made.Link()
	t.Logf("%d characters: %s", len(link), link)
	if len(link) > 400 {
		t.Errorf("a link of %d characters", len(link))
	}
	got, err := ParseLink("\n  " + link + "\t\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if got.Link() != link || got.Account != bob.chain.Account() || got.Kind != Single || len(got.Hints) != 3 {
		t.Error("the invitation changed on its way")
	}
	found, err := got.OpenNotice(relay[got.NoticeID()])
	if err != nil || !bytes.Equal(found, bundle) {
		t.Fatalf("the notice: %v", err)
	}
	b, err := ParseBundle(found)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Verify(got.Account, noon); err != nil {
		t.Error(err)
	}

	// Bob seals anew for each relay, and relays compare.
	again, err := made.SealNotice(bundle)
	if err != nil || len(again) != NoticeSize || len(notice) != NoticeSize {
		t.Fatalf("sealed again: %v, %d bytes", err, len(again))
	}
	same := 0
	for i := range again {
		if again[i] == notice[i] {
			same++
		}
	}
	if same > NoticeSize/64 {
		t.Errorf("two copies share %d of %d bytes", same, NoticeSize)
	}
}

func TestKeysOfAnInvitationDiffer(t *testing.T) {
	i := NewInvitation(Single, AccountID{}, nil)
	j := NewInvitation(Single, AccountID{}, nil)
	keys := map[[32]byte]string{}
	for name, k := range map[string][32]byte{
		"id": i.NoticeID(), "key": i.NoticeKey(), "rendezvous": i.RendezvousKey(),
		"write at one": i.WriteKey([]byte{1}), "write at two": i.WriteKey([]byte{2}), "write at none": i.WriteKey(nil),
		"the other's id": j.NoticeID(), "the other's key": j.NoticeKey(), "the other's write": j.WriteKey([]byte{1}),
	} {
		if other, ok := keys[k]; ok {
			t.Errorf("%s and %s are the same", name, other)
		}
		keys[k] = name
	}
}

func TestLinksThatAreNot(t *testing.T) {
	i := Invitation{Kind: Reusable, Secret: [16]byte{1}, Account: AccountID{2}, Hints: []Hint{relayHint(1)}}
	link := i.Link()
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(link, LinkScheme))
	if err != nil {
		t.Fatal(err)
	}
	changed := func(change func([]byte) []byte) string {
		return LinkScheme + base64.RawURLEncoding.EncodeToString(change(bytes.Clone(data)))
	}
	for what, bad := range map[string]string{
		"nothing":               "",
		"the scheme alone":      LinkScheme,
		"another scheme":        "https://example.org/#" + link[len(LinkScheme):],
		"capitals":              strings.ToUpper(LinkScheme) + link[len(LinkScheme):],
		"a line break within":   link[:40] + "\n" + link[40:],
		"a space within":        link[:40] + " " + link[40:],
		"padded":                link + "=",
		"quoted":                `"` + link + `"`,
		"two in a row":          link + link,
		"a full stop behind it": link + ".",
		"standard base64":       LinkScheme + base64.RawStdEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, len(data))),
		"no version":            changed(func(b []byte) []byte { b[0] = 0; return b }),
		"no kind":               changed(func(b []byte) []byte { b[1] = 0; return b }),
		"an unknown kind":       changed(func(b []byte) []byte { b[1] = 3; return b }),
		"four hints":            changed(func(b []byte) []byte { b[50] = 4; return b }),
		"a hint that is not":    changed(func(b []byte) []byte { b[50] = 2; return b }),
		"something behind it":   changed(func(b []byte) []byte { return append(b, 0) }),
		"a megabyte":            LinkScheme + strings.Repeat("A", 1<<20),
	} {
		if _, err := ParseLink(bad); !errors.Is(err, ErrLink) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for n := range data {
		if _, err := ParseLink(changed(func(b []byte) []byte { return b[:n] })); !errors.Is(err, ErrLink) {
			t.Errorf("cut at byte %d: %v", n, err)
		}
	}
	if _, err := ParseLink(changed(func(b []byte) []byte { b[0] = 2; return b })); !errors.Is(err, ErrNewer) || !errors.Is(err, ErrLink) {
		t.Errorf("a newer version: %v", err)
	}
	i.Hints = longestHints()
	if got, err := ParseLink(i.Link()); err != nil || len(got.Hints) != MaxHints {
		t.Errorf("the longest: %v", err)
	}
}

func TestNoticesThatAreNot(t *testing.T) {
	i := NewInvitation(Single, AccountID{1}, nil)
	bundle := []byte("a bundle")
	notice, err := i.SealNotice(bundle)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < NoticeSize; n += 61 {
		bad := bytes.Clone(notice)
		bad[n] ^= 4
		if _, err := i.OpenNotice(bad); !errors.Is(err, ErrNotice) {
			t.Fatalf("a bit of byte %d: %v", n, err)
		}
	}
	for _, bad := range [][]byte{nil, notice[:NoticeSize-1], append(bytes.Clone(notice), 0), make([]byte, NoticeSize)} {
		if _, err := i.OpenNotice(bad); !errors.Is(err, ErrNotice) {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
	other := i
	other.Account[0]++
	if _, err := other.OpenNotice(notice); !errors.Is(err, ErrNotice) {
		t.Errorf("under another account: %v", err)
	}
	other = i
	other.Secret[0]++
	if _, err := other.OpenNotice(notice); !errors.Is(err, ErrNotice) {
		t.Errorf("with another secret: %v", err)
	}
	newer := bytes.Clone(notice)
	newer[0] = 2
	if _, err := i.OpenNotice(newer); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer version: %v", err)
	}

	// Whoever has the link can seal: their padding and lengths are looked at too.
	seal := func(plain []byte) []byte {
		key := i.NoticeKey()
		aead, err := chacha20poly1305.NewX(key[:])
		if err != nil {
			t.Fatal(err)
		}
		nonce := make([]byte, chacha20poly1305.NonceSizeX)
		return aead.Seal(append([]byte{1}, nonce...), nonce, plain, i.noticeAD())
	}
	plain := make([]byte, MaxNotice+2)
	if got, err := i.OpenNotice(seal(plain)); err != nil || len(got) != 0 {
		t.Errorf("an empty one: %v", err)
	}
	plain[0], plain[1] = 0xff, 0xff
	if _, err := i.OpenNotice(seal(plain)); !errors.Is(err, ErrNotice) {
		t.Errorf("longer than itself: %v", err)
	}
	plain[0], plain[1], plain[MaxNotice] = 0, 1, 1
	if _, err := i.OpenNotice(seal(plain)); !errors.Is(err, ErrNotice) {
		t.Errorf("padding that is not zero: %v", err)
	}

	for n, want := range map[int]error{0: nil, MaxNotice: nil, MaxNotice + 1: ErrTooLarge} {
		sealed, err := i.SealNotice(make([]byte, n))
		if !errors.Is(err, want) {
			t.Errorf("%d bytes: %v, want %v", n, err, want)
		}
		if got, err := i.OpenNotice(sealed); want == nil && (err != nil || len(got) != n) {
			t.Errorf("%d bytes: %d, %v", n, len(got), err)
		}
	}
}

func TestABrokenInvitationPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a link that nobody can read is handed out")
		}
	}()
	_ = Invitation{Kind: 7}.Link()
}

func FuzzParseLink(f *testing.F) {
	f.Add(Invitation{Kind: Single, Secret: [16]byte{1}, Hints: []Hint{relayHint(1)}}.Link())
	f.Add(" " + Invitation{Kind: Reusable}.Link() + "\n")
	f.Add(Invitation{Kind: Reusable, Hints: longestHints()}.Link())
	f.Add(LinkScheme)
	f.Add(LinkScheme + "Ag")
	f.Fuzz(func(t *testing.T, link string) {
		i, err := ParseLink(link)
		if err != nil {
			if !errors.Is(err, ErrLink) {
				t.Fatal(err)
			}
			return
		}
		if i.Link() != strings.TrimSpace(link) {
			t.Fatalf("two spellings of one invitation: %q and %q", link, i.Link())
		}
	})
}

func FuzzOpenNotice(f *testing.F) {
	i := Invitation{Kind: Single, Secret: [16]byte{1}}
	notice, err := i.SealNotice([]byte("a bundle"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(notice)
	f.Add(notice[:100])
	f.Add(slices.Concat([]byte{2}, notice[1:]))
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := i.OpenNotice(data); err != nil {
			if !errors.Is(err, ErrNotice) {
				t.Fatal(err)
			}
		} else if string(got) != "a bundle" { // the fuzzer's other processes have sealed it too
			t.Fatal("a forged notice")
		}
	})
}
