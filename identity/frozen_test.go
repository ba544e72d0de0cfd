package identity

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"
)

// frozenIdentity is testdata/identity.json: one value of every encoding of
// SPEC.md and what is derived from it. Another implementation can check itself
// against it.
type frozenIdentity struct {
	Entropy, RootSeed, Root, Account hexBytes
	Words                            string
	AccountText                      string

	Chain, Head hexBytes // three devices, one of them revoked
	Restart     hexBytes // the same account after its recovery
	RestartAt   time.Time

	Bundle, BundleID hexBytes // with a one-time prekey
	BundleForMany    hexBytes // without

	Link                                                 string
	NoticeID, NoticeKey, Relay, WriteKey, RendezvousSeed hexBytes
	NoticeOf                                             hexBytes // a bundle, shortened to a word
	NoticeSHA256                                         hexBytes // of the notice sealed with NoticeNonce
	NoticeNonce                                          hexBytes

	OtherRoot    hexBytes
	SafetyNumber string
}

func TestFrozen(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	alice := &person{entropy: NewEntropy(), device: GenerateDevice(), agreement: GenerateAgreement()}
	alice.root = RootFromEntropy(alice.entropy)
	laptop, phone := gadget{GenerateDevice(), GenerateAgreement()}, gadget{GenerateDevice(), GenerateAgreement()}
	c := NewChain(alice.root, alice.device, alice.agreement.Public(), noon)
	c = next(t, c, alice.device, []gadget{laptop, phone}, true)
	alice.chain = next(t, c, laptop.key, nil, false, phone.key.Public())

	invitation := NewInvitation(Single, alice.chain.Account(), []Hint{relayHint(1), {Kind: HintDevice, Peer: []byte{9}}})
	notice, err := invitation.SealNotice([]byte("bundle"))
	if err != nil {
		t.Fatal(err)
	}
	bundle, forMany := alice.bundle(t, 1, true), alice.bundle(t, 2, false)
	other := RootFromEntropy(NewEntropy()).Public()
	root, account, head, id := alice.root.Public(), alice.chain.Account(), alice.chain.Head(), bundle.ID()
	noticeID, noticeKey, relay, rdv := invitation.NoticeID(), invitation.NoticeKey(), relayHint(1).Peer, invitation.RendezvousKey()
	write, sum := invitation.WriteKey(relay), sha256.Sum256(notice)

	frozen(t, "identity.json", frozenIdentity{
		Entropy: alice.entropy[:], Words: strings.Join(Phrase(alice.entropy), " "), RootSeed: alice.root.seed[:],
		Root: root[:], Account: account[:], AccountText: account.String(),
		Chain: alice.chain.Marshal(), Head: head[:], RestartAt: noon.Add(time.Hour),
		Restart: RestartChain(alice.root, phone.key, phone.agreement.Public(), noon.Add(time.Hour), alice.chain.N()).Marshal(),
		Bundle:  bundle.Marshal(), BundleID: id[:], BundleForMany: forMany.Marshal(),
		Link: invitation.Link(), NoticeID: noticeID[:], NoticeKey: noticeKey[:], Relay: relay, WriteKey: write[:], RendezvousSeed: rdv[:],
		NoticeOf: []byte("bundle"), NoticeNonce: notice[1:25], NoticeSHA256: sum[:],
		OtherRoot: other[:], SafetyNumber: SafetyNumber(root, other),
	})
}

// What was written once is read for ever.
func TestFrozenIsRead(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "identity.json"))
	if err != nil {
		t.Fatal(err)
	}
	var f frozenIdentity
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	entropy, err := ParsePhrase(f.Words)
	if err != nil || !bytes.Equal(entropy[:], f.Entropy) {
		t.Fatalf("the words: %v", err)
	}
	root := RootFromEntropy(entropy)
	account, err := ParseAccountID(f.AccountText)
	if err != nil || account != root.Public().Account() || !bytes.Equal(account[:], f.Account) {
		t.Fatalf("the account: %v", err)
	}
	c, err := ParseChain(f.Chain)
	if err != nil {
		t.Fatal(err)
	}
	pin, err := NewPin(c, Suite)
	if err != nil || !bytes.Equal(pin.Head[:], f.Head) || pin.N != 2 || pin.Account != account {
		t.Errorf("the chain: %+v, %v", pin, err)
	}
	restart, err := ParseChain(f.Restart)
	if err != nil {
		t.Fatal(err)
	}
	if pin, err = pin.Advance(restart); err != nil || pin.N != uint64(f.RestartAt.UnixMilli()) {
		t.Errorf("the restart: %+v, %v", pin, err)
	}
	for i, encoded := range [][]byte{f.Bundle, f.BundleForMany} {
		b, err := ParseBundle(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Verify(account, noon); err != nil || (b.OneTime == nil) != (i == 1) {
			t.Errorf("bundle %d: %v", i, err)
		}
		if id := b.ID(); i == 0 && !bytes.Equal(id[:], f.BundleID) {
			t.Errorf("its id: %x", id)
		}
	}
	invitation, err := ParseLink(f.Link)
	if err != nil || invitation.Account != account || len(invitation.Hints) != 2 {
		t.Errorf("the link: %v", err)
	}
}
