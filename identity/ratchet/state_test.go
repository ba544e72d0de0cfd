package ratchet

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/cryptotest"

	"github.com/godwit-im/godwit/identity"
)

var update = flag.Bool("update", false, "write the frozen vectors anew")

// stages gives states of all roles and phases, with and without skipped keys.
func stages(t testing.TB) (all []*Session) {
	alice, bob := meet(t)
	all = append(all, alice.Clone(), bob.Clone())
	for i := range 14 {
		from, to := alice, bob
		if i%2 == 1 {
			from, to = bob, alice
		}
		if i > 6 {
			says(t, from, "lost")
		}
		hears(t, to, says(t, from, "words"), "words")
		all = append(all, alice.Clone(), bob.Clone())
	}
	return all
}

func TestStateIsReadBack(t *testing.T) {
	roles := map[role]bool{}
	for i, s := range stages(t) {
		data := state(t, s)
		back, err := ParseSession(data)
		if err != nil {
			t.Fatalf("stage %d: %v", i, err)
		}
		if !bytes.Equal(state(t, back), data) {
			t.Fatalf("stage %d: read back, it is another state", i)
		}
		if back.Stats() != s.Stats() {
			t.Errorf("stage %d: %+v became %+v", i, s.Stats(), back.Stats())
		}
		roles[s.pq.role] = true
		for n := range data {
			if _, err := ParseSession(data[:n]); !errors.Is(err, ErrMalformed) {
				t.Fatalf("stage %d: its first %d bytes: %v", i, n, err)
			}
		}
		if _, err := ParseSession(append(data, 0)); !errors.Is(err, ErrMalformed) {
			t.Fatalf("stage %d and a byte more: %v", i, err)
		}
	}
	if len(roles) != 3 {
		t.Errorf("only roles %v were tried", roles)
	}
}

// TestStatesReadBackGoOn: each message is sealed and opened by a state that has
// just been read back, as after a restart.
func TestStatesReadBackGoOn(t *testing.T) {
	from, to := meet(t)
	restart := func(s *Session) *Session {
		back, err := ParseSession(state(t, s))
		if err != nil {
			t.Fatal(err)
		}
		return back
	}
	for i := range 20 {
		from, to = restart(from), restart(to)
		late := says(t, from, "late")
		from = restart(from)
		hears(t, to, says(t, from, fmt.Sprint(i)), fmt.Sprint(i))
		to = restart(to)
		hears(t, to, late, "late")
		from, to = to, from
	}
	if from.Stats().Epoch < 5 {
		t.Errorf("after 20 turns: %+v", from.Stats())
	}
}

func FuzzParseSession(f *testing.F) {
	for _, s := range stages(f) {
		f.Add(state(f, s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseSession(data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if !bytes.Equal(state(t, s), data) {
			t.Fatal("two encodings of one state")
		}
		// Whatever it holds, it seals and opens without a panic.
		if wire, err := s.Seal([]byte("x"), Small); err == nil {
			s.Open(wire, noon)
		}
		s.Expire(noon)
	})
}

func FuzzParseHeader(f *testing.F) {
	for _, s := range stages(f) {
		if h, _, _, err := s.advance(); err == nil {
			f.Add(bytes.Clone(h.marshal(make([]byte, 0, headerSize))), s.pq.initiator)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, fromInitiator bool) {
		h, err := parseHeader(data, fromInitiator)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if !bytes.Equal(h.marshal(make([]byte, 0, headerSize)), data) {
			t.Fatal("two encodings of one header")
		}
	})
}

// FuzzOpen gives both sides whatever bytes, and whatever header the other side
// may seal: nothing but an honest message changes a state.
func FuzzOpen(f *testing.F) {
	alice, bob := meet(f)
	talk(f, alice, bob, 2)
	f.Add(says(f, alice.Clone(), "words"), false)
	h, _, _, _ := alice.Clone().advance()
	f.Add(bytes.Clone(h.marshal(make([]byte, 0, headerSize))), true)
	f.Fuzz(func(t *testing.T, data []byte, sealed bool) {
		alice, bob := meet(t)
		talk(t, alice, bob, 2)
		if sealed && len(data) == headerSize {
			wire := make([]byte, Small)
			wire[0] = Version
			headerAEAD(&alice.ec.recvHeader).Seal(wire[:atHeader], wire[atNonce:atHeader], data, alice.ad[:])
			refuses(t, alice, wire)
			return
		}
		refuses(t, bob, data)
	})
}

// transcript is testdata/session.json: a conversation with all that is needed
// to check another implementation against it, at each step.
type transcript struct {
	About                                   string
	RootEC, RootPQ, HeaderA, NextHeaderB    hexBytes
	InitiatorRoot, InitiatorDevice          hexBytes
	ResponderRoot, ResponderDevice          hexBytes
	Suite                                   byte
	ResponderPrekey, ResponderPrekeyPrivate hexBytes
	InitiatorBegins, ResponderBegins        hexBytes // states
	Messages                                []transcriptMessage
}

type transcriptMessage struct {
	From       string // initiator or responder
	Payload    string
	Wire       hexBytes // of the first three, else empty
	WireSHA256 hexBytes
	Opened     bool     // before the next message; if not, it comes at the end
	Sender     hexBytes // SHA-256 of the sender's state after sealing
	Receiver   hexBytes // SHA-256 of the receiver's state after opening
	State      hexBytes // the receiver's state itself, after the third message
}

func TestFrozenTranscript(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	f := newFirst()
	alice, bob := f.initiator(t), f.responder(t)
	public, private := f.prekey.Public(), f.prekey.Bytes()
	tr := transcript{
		About:  "SPEC.md, section 9. Randomness is Go's testing/cryptotest with seed 1; times are 2026-06-21 12:00 UTC.",
		RootEC: f.secrets.RootEC[:], RootPQ: f.secrets.RootPQ[:], HeaderA: f.secrets.HeaderA[:], NextHeaderB: f.secrets.NextHeaderB[:],
		InitiatorRoot: f.parties.InitiatorRoot[:], InitiatorDevice: f.parties.InitiatorDevice[:],
		ResponderRoot: f.parties.ResponderRoot[:], ResponderDevice: f.parties.ResponderDevice[:], Suite: f.parties.Suite,
		ResponderPrekey: public[:], ResponderPrekeyPrivate: private[:],
		InitiatorBegins: state(t, alice), ResponderBegins: state(t, bob),
	}
	hash := func(s *Session) hexBytes { sum := sha256.Sum256(state(t, s)); return sum[:] }
	var late []func()
	for i, from := range "AABABBAABAB" {
		name, s, r := "initiator", alice, bob
		if from == 'B' {
			name, s, r = "responder", bob, alice
		}
		m := transcriptMessage{From: name, Payload: fmt.Sprintf("message %d", i), Opened: i%4 != 1}
		wire := says(t, s, m.Payload)
		sum := MessageHash(wire)
		m.WireSHA256, m.Sender = sum[:], hash(s)
		if i < 3 {
			m.Wire = wire
		}
		open := func(m *transcriptMessage) {
			hears(t, r, wire, m.Payload)
			m.Receiver = hash(r)
		}
		if m.Opened {
			open(&m)
		} else {
			late = append(late, func() { open(&tr.Messages[i]) })
		}
		if i == 2 {
			m.State = state(t, r)
		}
		tr.Messages = append(tr.Messages, m)
	}
	for _, open := range late {
		open()
	}
	got, err := json.MarshalIndent(tr, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "session.json")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(append(got, '\n'), want) {
		t.Errorf("the transcript is no longer that of %s; if the format was meant to change, raise its version", file)
	}
}

// TestFrozenIsRead: what was written once is read for ever. Needs no randomness
// but that in the file.
func TestFrozenIsRead(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "session.json"))
	if err != nil {
		t.Fatal(err)
	}
	var tr transcript
	if err := json.Unmarshal(data, &tr); err != nil {
		t.Fatal(err)
	}
	f := first{
		Secrets{key(tr.RootEC), key(tr.RootPQ), key(tr.HeaderA), key(tr.NextHeaderB)},
		Parties{
			identity.RootPublic(tr.InitiatorRoot), identity.DevicePublic(tr.InitiatorDevice),
			identity.RootPublic(tr.ResponderRoot), identity.DevicePublic(tr.ResponderDevice), tr.Suite,
		},
		identity.NewPrekeyPrivate(key(tr.ResponderPrekeyPrivate)),
	}
	bob := f.responder(t)
	if !bytes.Equal(state(t, bob), tr.ResponderBegins) {
		t.Error("the responder begins otherwise")
	}
	for _, i := range []int{1, 0} { // the second overtakes the first
		hears(t, bob, tr.Messages[i].Wire, tr.Messages[i].Payload)
	}
	alice, err := ParseSession(tr.Messages[2].State)
	if err != nil || !bytes.Equal(state(t, alice), tr.Messages[2].State) {
		t.Fatalf("the initiator's state after the third message: %v", err)
	}
	begins, err := ParseSession(tr.InitiatorBegins)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := begins.Open(tr.Messages[2].Wire, noon); !errors.Is(err, ErrForged) {
		t.Errorf("a message under a key that the initiator has not made yet: %v", err)
	}
}
