package mailbox_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/mailbox/mailboxtest"
	"github.com/godwit-im/godwit/p2p/p2ptest"
	"github.com/libp2p/go-libp2p/core/network"
)

// liar is a relay that answers every request as it likes. answer is given the
// request and tells the frames to send, without their lengths.
func liar(t *testing.T, hello []byte, answer func(kind byte, id uint32, body []byte) [][]byte) (*relay, ed25519.PrivateKey) {
	t.Helper()
	n := p2ptest.Loopback(t)
	k, err := n.Host().Peerstore().PrivKey(n.Host().ID()).Raw()
	if err != nil {
		t.Fatal(err)
	}
	say := func(s network.Stream, frame []byte) { s.Write(append(u32(uint32(len(frame))), frame...)) }
	n.Host().SetStreamHandler(mailbox.Protocol, func(s network.Stream) {
		defer s.Close()
		say(s, hello)
		for {
			var head [4]byte
			if _, err := io.ReadFull(s, head[:]); err != nil {
				return
			}
			b := make([]byte, binary.BigEndian.Uint32(head[:]))
			if _, err := io.ReadFull(s, b); err != nil {
				return
			}
			for _, frame := range answer(b[0], binary.BigEndian.Uint32(b[1:5]), b[5:]) {
				say(s, frame)
			}
		}
	})
	return &relay{info: p2ptest.Info(n)}, k
}

// goodHello is a HELLO at a time, with the limits of an honest relay.
func goodHello(at time.Time) []byte {
	return slices.Concat([]byte{0x80, 0, 0, 0, 0, 1}, u64(uint64(at.UnixMilli())), make([]byte, 32), []byte{0, 1}, u16(256), u32(1<<20), u32(30*86400),
		u16(512), u32(8<<20), u64(256<<20), u32(1000))
}

// receiptOf is an honest relay's receipt for one cell.
func receiptOf(r *relay, k ed25519.PrivateKey, queue, cell []byte, expiry, at time.Time) []byte {
	id := sha256.Sum256(cell)
	leaf := sha256.Sum256(slices.Concat([]byte{0, 1}, queue, id[:16], u64(uint64(expiry.Unix()))))
	text := slices.Concat([]byte("godwit/1/receipt"), []byte(r.info.ID), u64(uint64(at.UnixMilli())), u16(1), leaf[:])
	return slices.Concat([]byte{1, 1}, u64(uint64(expiry.Unix())), u64(uint64(at.UnixMilli())), u16(1), u16(0), ed25519.Sign(k, text))
}

// TestRelaysThatLie: attacks.md row 23. Whatever else it says, a relay that does not
// promise by its own valid signature to keep this cell in this queue has promised nothing.
func TestRelaysThatLie(t *testing.T) {
	now := time.Now()
	month := now.Add(mailbox.MaxTTL)
	var r *relay
	var key ed25519.PrivateKey
	frame := func(id uint32, receipt []byte) [][]byte {
		return [][]byte{slices.Concat([]byte{0x86}, u32(id), receipt)}
	}
	cases := []struct {
		name   string
		answer func(id uint32, queue, cell []byte) [][]byte
		want   error
	}{
		{"honest", func(id uint32, q, c []byte) [][]byte { return frame(id, receiptOf(r, key, q, c, month, now)) }, nil},
		{"no signature", func(id uint32, q, c []byte) [][]byte {
			b := receiptOf(r, key, q, c, month, now)
			clear(b[len(b)-64:])
			return frame(id, b)
		}, mailbox.ErrBadReceipt},
		{"another's signature", func(id uint32, q, c []byte) [][]byte {
			return frame(id, receiptOf(r, newKey(t), q, c, month, now))
		}, mailbox.ErrBadReceipt},
		{"of another cell", func(id uint32, q, c []byte) [][]byte {
			return frame(id, receiptOf(r, key, q, bytes.Repeat([]byte{1}, len(c)), month, now))
		}, mailbox.ErrBadReceipt},
		{"of another queue", func(id uint32, q, c []byte) [][]byte {
			return frame(id, receiptOf(r, key, make([]byte, 32), c, month, now))
		}, mailbox.ErrBadReceipt},
		{"for an hour", func(id uint32, q, c []byte) [][]byte {
			return frame(id, receiptOf(r, key, q, c, now.Add(time.Hour), now))
		}, mailbox.ErrBadReceipt},
		{"expiry changed", func(id uint32, q, c []byte) [][]byte {
			b := receiptOf(r, key, q, c, month, now)
			b[9]++
			return frame(id, b)
		}, mailbox.ErrBadReceipt},
		{"time changed", func(id uint32, q, c []byte) [][]byte {
			b := receiptOf(r, key, q, c, month, now)
			b[17]++
			return frame(id, b)
		}, mailbox.ErrBadReceipt},
		{"another promise", func(id uint32, q, c []byte) [][]byte {
			b := receiptOf(r, key, q, c, month, now)
			b[1] = 2
			return frame(id, b)
		}, mailbox.ErrBadReceipt},
		{"a path too many", func(id uint32, q, c []byte) [][]byte {
			return frame(id, slices.Insert(receiptOf(r, key, q, c, month, now), 22, make([]byte, 32)...))
		}, mailbox.ErrBadReceipt},
		{"empty", func(id uint32, q, c []byte) [][]byte { return frame(id, nil) }, mailbox.ErrBadReceipt},
		{"trailing", func(id uint32, q, c []byte) [][]byte {
			return frame(id, append(receiptOf(r, key, q, c, month, now), 0))
		}, mailbox.ErrBadReceipt},
		{"an answer to something else", func(id uint32, q, c []byte) [][]byte {
			return [][]byte{append([]byte{0x84}, u32(id)...)}
		}, mailbox.ErrMalformed},
		{"to a question never asked", func(id uint32, q, c []byte) [][]byte { return frame(id+1, nil) }, mailbox.ErrClosed},
		{"news never asked for", func(id uint32, q, c []byte) [][]byte {
			return [][]byte{slices.Concat([]byte{0xc0}, u32(id), u16(1), u64(1), make([]byte, 48), []byte{1}, u64(1))}
		}, mailbox.ErrClosed},
		{"a refusal of a code to come", func(id uint32, q, c []byte) [][]byte {
			return [][]byte{slices.Concat([]byte{0xff}, u32(id), u16(999), u32(7), u64(1))}
		}, mailbox.ErrTryLater},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r, key = liar(t, goodHello(now), func(kind byte, id uint32, body []byte) [][]byte {
				if kind != 0x06 {
					return nil
				}
				return c.answer(id, body[:32], body[36:])
			})
			k, err := mailbox.NewWriteKey(r.info.ID, mailbox.CatchAll, [32]byte{1})
			if err != nil {
				t.Fatal(err)
			}
			alice := r.as(t)
			_, err = alice.Put(t.Context(), k, small(), 0)
			if !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Fatalf("error %v, want %v", err, c.want)
			}
		})
	}
}

// TestHellosThatLie: a HELLO that is not one ends the dialling.
func TestHellosThatLie(t *testing.T) {
	good := goodHello(time.Now())
	change := func(at int, b ...byte) []byte {
		h := bytes.Clone(good)
		copy(h[at:], b)
		return h
	}
	for name, hello := range map[string][]byte{
		"short": good[:len(good)-1], "long": append(bytes.Clone(good), 0), "another version": change(5, 2), "the year 10000": change(6, 255),
		"no proofs": change(5+1+8+32+2, 0, 0), "no window": change(5+1+8+32+4, 0, 0, 0, 0), "nothing kept": change(5+1+8+32+8, 0, 0, 0, 0), "no hello": {0x86, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := liar(t, hello, nil)
			if _, err := mailbox.Dial(t.Context(), p2ptest.Loopback(t).Host(), r.info); !errors.Is(err, mailbox.ErrMalformed) {
				t.Fatal(err)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		r, _ := liar(t, slices.Concat([]byte{0xff, 0, 0, 0, 0}, u16(16), u32(60), u64(1)), nil)
		_, err := mailbox.Dial(t.Context(), p2ptest.Loopback(t).Host(), r.info)
		var refused *mailbox.Refusal
		if !errors.As(err, &refused) || !errors.Is(err, mailbox.ErrTryLater) || refused.Retry != time.Minute {
			t.Fatal(err)
		}
	})
	t.Run("silent", func(t *testing.T) {
		n := p2ptest.Loopback(t)
		n.Host().SetStreamHandler(mailbox.Protocol, func(s network.Stream) { io.Copy(io.Discard, s) })
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if _, err := mailbox.Dial(ctx, p2ptest.Loopback(t).Host(), p2ptest.Info(n)); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	})
}

// TestAnswersThatLie: what a relay says to a reader is checked too.
func TestAnswersThatLie(t *testing.T) {
	entry := func(seq uint64, class byte) []byte {
		return slices.Concat(u64(seq), make([]byte, 48), []byte{class}, u64(1))
	}
	r, _ := liar(t, goodHello(time.Now()), func(kind byte, id uint32, body []byte) [][]byte {
		answer := func(parts ...[]byte) [][]byte {
			return [][]byte{slices.Concat([]byte{kind | 0x80}, u32(id), bytes.Join(parts, nil))}
		}
		switch kind {
		case 0x07: // entries that fall
			return answer([]byte{0}, u16(2), entry(5, 1), entry(5, 1))
		case 0x08:
			return answer(small())
		case 0x0d:
			return answer(make([]byte, 17))
		case 0x09:
			return answer(u16(1), []byte{0})
		case 0x0e:
			return nil
		}
		return answer([]byte{1})
	})
	bob := r.as(t)
	ctx := t.Context()
	_, _, err := bob.List(ctx, 0)
	wantErr(t, err, mailbox.ErrMalformed)
	_, err = bob.Get(ctx, mailbox.CellID{1})
	wantErr(t, err, mailbox.ErrMalformed)
	_, err = bob.Fetch(ctx, mailbox.NoticeID{1})
	wantErr(t, err, mailbox.ErrMalformed)
	_, err = bob.Ack(ctx, mailbox.CellID{1})
	wantErr(t, err, mailbox.ErrMalformed)
	wantErr(t, bob.Unpost(ctx, mailbox.NoticeID{1}), mailbox.ErrMalformed)
	wantErr(t, bob.CloseQueues(ctx, mailbox.QID{1}), mailbox.ErrMalformed)
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	wantErr(t, bob.Ping(short), context.DeadlineExceeded)
	if bob.Err() != nil {
		t.Fatal("the connection is over:", bob.Err())
	}
}

// signer signs as a relay that is broken would.
type signer func([]byte) ([]byte, error)

func (s signer) Sign(b []byte) ([]byte, error) { return s(b) }

// TestBrokenSigner: a relay whose own key fails gives no receipts.
func TestBrokenSigner(t *testing.T) {
	for name, c := range map[string]struct {
		sign mailbox.Signer
		want error
	}{
		"wrong key": {mailboxtest.WrongKey(t), mailbox.ErrBadReceipt},
		"no key":    {signer(func([]byte) ([]byte, error) { return nil, errors.New("no key") }), mailbox.ErrDamaged},
		"half":      {signer(func([]byte) ([]byte, error) { return make([]byte, 32), nil }), mailbox.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			r := startRelay(t, terms{sign: c.sign})
			bob := r.as(t).moveIn()
			q := bob.describe().Queue(bob.Epoch())
			_, err := r.as(t).Put(t.Context(), q.Write, small(), 0)
			wantErr(t, err, c.want)
		})
	}
}

// failing is a Store that fails from some point on.
type failing struct {
	*mailboxtest.Memory
	fail func() error
}

func (f failing) Commit(now time.Time, c []mailbox.Change) error {
	if err := f.fail(); err != nil {
		return err
	}
	return f.Memory.Commit(now, c)
}

// TestStoreFails: nothing is promised any more, everyone is told, and Run ends.
func TestStoreFails(t *testing.T) {
	broken := make(chan struct{})
	store := failing{mailboxtest.NewMemory(mailbox.DefaultQuotas(), 0), func() error {
		select {
		case <-broken:
			return errors.Join(mailbox.ErrDamaged, io.ErrUnexpectedEOF)
		default:
			return nil
		}
	}}
	n := p2ptest.Loopback(t)
	s, err := mailbox.NewServer(n.Host(), n.Host().Peerstore().PrivKey(n.Host().ID()), store, mailbox.ServerConfig{Leases: []mailbox.LeaseKind{mailbox.LeaseOpen}})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- s.Run(context.Background()) }()
	r := &relay{info: p2ptest.Info(n), server: s}
	bob := r.as(t).moveIn()
	d := bob.describe()
	alice := r.as(t)
	alice.leave(d, message("kept", mailbox.CellSmall))
	close(broken)
	q := d.Queue(alice.Epoch())
	if _, err := alice.Put(t.Context(), q.Write, small(), 0); !errors.Is(err, mailbox.ErrDamaged) && !errors.Is(err, mailbox.ErrClosed) {
		t.Fatal(err)
	}
	if err := <-ran; !errors.Is(err, mailbox.ErrDamaged) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	<-alice.Done()
	wantErr(t, alice.Err(), mailbox.ErrClosed)
}

// TestFull: a full relay says so; what it kept it keeps.
func TestFull(t *testing.T) {
	r := startRelay(t, terms{store: mailboxtest.NewMemory(mailbox.DefaultQuotas(), 3*mailbox.CellSmall)})
	bob := r.as(t).moveIn()
	d := bob.describe()
	alice := r.as(t)
	var kept []mailbox.CellID
	for range 3 {
		id, _ := alice.leave(d, message(string(mailboxtest.Random(8)), mailbox.CellSmall))
		kept = append(kept, id)
	}
	_, err := alice.Put(t.Context(), d.Queue(alice.Epoch()).Write, small(), 0)
	var refused *mailbox.Refusal
	if !errors.As(err, &refused) || !errors.Is(err, mailbox.ErrFull) || refused.Retry == 0 {
		t.Fatal(err)
	}
	for _, id := range kept {
		if _, err := bob.Get(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := bob.Ack(t.Context(), kept[0]); err != nil {
		t.Fatal(err)
	}
	alice.leave(d, message("there is room again", mailbox.CellSmall))
}
