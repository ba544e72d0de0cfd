package rendezvous

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

var update = flag.Bool("update", false, "write testdata anew")

// birth is when the records of these tests are written: three hours into a period.
var birth = time.UnixMilli(1893466800123)

func id(t testing.TB, n byte) peer.ID {
	t.Helper()
	k, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	p, err := peer.IDFromPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func addrs(texts ...string) (as []ma.Multiaddr) {
	for _, a := range texts {
		as = append(as, ma.StringCast(a))
	}
	return as
}

// anna is where Anna's computer is.
func anna(t testing.TB) Content {
	return Content{
		Device: peer.AddrInfo{ID: id(t, 1), Addrs: addrs("/ip4/11.22.33.44/tcp/4001", "/ip6/2606:4700::1/udp/4001/quic-v1")},
		Relays: []peer.AddrInfo{
			{ID: id(t, 2), Addrs: addrs("/ip4/11.22.34.1/tcp/4001", "/ip4/11.22.34.1/udp/4001/quic-v1")},
			{ID: id(t, 3)},
		},
	}
}

func seed(n byte) (s Seed) {
	for i := range s {
		s[i] = n + byte(i)
	}
	return s
}

func seal(t testing.TB, k Keys, c Content, at time.Time) []byte {
	t.Helper()
	v, err := k.Seal(c, at, MaxLife)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// check is what a server does with a record at a time.
func check(key string, value []byte, now time.Time) error {
	r, err := Parse(value)
	if err != nil {
		return err
	}
	return r.Verify(key, now)
}

func TestBobFindsAnna(t *testing.T) {
	s := NewSeed()
	k := s.Keys(At(birth))
	value := seal(t, k, anna(t), birth)
	if len(value) != Size {
		t.Fatalf("%d bytes", len(value))
	}
	found := false
	for _, p := range Around(birth.Add(5 * time.Hour)) { // Bob's clock is in the next period
		bob := s.Keys(p)
		if bob.Key() != k.Key() {
			continue
		}
		if err := check(bob.Key(), value, birth); err != nil {
			t.Fatal(err)
		}
		r, err := Parse(value)
		if err != nil {
			t.Fatal(err)
		}
		got, err := bob.Open(r)
		if err != nil || !reflect.DeepEqual(got, anna(t)) {
			t.Fatalf("%v, %v", got, err)
		}
		found = r.Seq.Equal(birth) && r.Expiry.Equal(birth.Add(MaxLife))
	}
	if !found {
		t.Fatal("not found")
	}
}

// Eve, who keeps the record, knows neither whose it is nor what the next is.
func TestServersLearnNothing(t *testing.T) {
	s := seed(7)
	now, next := s.Keys(At(birth)), s.Keys(At(birth)+1)
	if now.Key() == next.Key() || now.seal == next.seal {
		t.Fatal("two periods, one key")
	}
	value := seal(t, now, anna(t), birth)
	for _, a := range anna(t).Device.Addrs {
		if bytes.Contains(value, a.Bytes()) {
			t.Fatal("an address can be read")
		}
	}
	if bytes.Contains(value, []byte(anna(t).Device.ID)) {
		t.Fatal("the PeerID can be read")
	}
	if bytes.Equal(seal(t, now, anna(t), birth)[headSize:], value[headSize:]) {
		t.Fatal("the same content shows as the same")
	}
	r, err := Parse(value)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := next.Open(r); !errors.Is(err, ErrKey) {
		t.Fatal(err)
	}
	stranger := now
	stranger.seal = seed(8).Keys(At(birth)).seal
	if _, err := stranger.Open(r); !errors.Is(err, ErrSealed) {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprintf("%v %+v %x %s", s, now, s, now)} {
		if strings.Trim(text, " ") != "[rendezvous seed] [rendezvous keys] [rendezvous seed] [rendezvous keys]" {
			t.Fatalf("secrets print as %s", text)
		}
	}
}

func TestEveryBitCounts(t *testing.T) {
	k := seed(1).Keys(At(birth))
	value := seal(t, k, anna(t), birth)
	if err := check(k.Key(), value, birth); err != nil {
		t.Fatal(err)
	}
	for i := range value {
		for _, mask := range []byte{1, 0x80, 0xff} {
			v := bytes.Clone(value)
			v[i] ^= mask
			if check(k.Key(), v, birth) == nil {
				t.Fatalf("byte %d changed by %x, and still good", i, mask)
			}
			if r, err := Parse(v); err == nil {
				if _, err := k.Open(r); err == nil {
					t.Fatalf("byte %d changed by %x, and still opens", i, mask)
				}
			}
		}
	}
	for i := range len(k.Key()) {
		key := []byte(k.Key())
		key[i] ^= 1
		if err := check(string(key), value, birth); !errors.Is(err, ErrKey) {
			t.Fatalf("key byte %d: %v", i, err)
		}
	}
}

// forge is a record under Eve's own key whose times she chose; the signature is right.
func forge(seq, expiry uint64) (key string, value []byte) {
	eve := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{0xee}, 32))
	v := append([]byte(nil), eve.Public().(ed25519.PublicKey)...)
	v = binary.BigEndian.AppendUint64(v, seq)
	v = binary.BigEndian.AppendUint64(v, expiry)
	v = append(v, make([]byte, signedSize-len(v))...)
	v = append(v, ed25519.Sign(eve, append([]byte(recordLabel), v...))...)
	return keyOf([32]byte(v[:32])), v
}

func TestTimesThatAreRefused(t *testing.T) {
	now := uint64(birth.UnixMilli())
	const hour = uint64(time.Hour / time.Millisecond)
	for _, c := range []struct {
		name        string
		seq, expiry uint64
		want        error
	}{
		{"just written", now, now + 12*hour, nil},
		{"short", now - 1, now + 1, nil},
		{"a clock ahead by a period", now + 6*hour, now + 18*hour, nil},
		{"a clock ahead by more", now + 6*hour + 1, now + 7*hour, ErrFuture},
		{"far ahead", now + 1000*hour, now + 1001*hour, ErrFuture},
		{"ends now", now - 12*hour, now, ErrExpired},
		{"long ago", now - 500*hour, now - 490*hour, ErrExpired},
		{"1970", 0, 1, ErrExpired},
		{"too long", now, now + 12*hour + 1, ErrMalformed},
		{"no life", now, now, ErrMalformed},
		{"expires before it was written", now, now - 1, ErrMalformed},
		{"wraps", 1<<64 - 1, 5, ErrMalformed},
		{"negative as a signed number", 1 << 63, 1<<63 + 1, ErrMalformed},
		{"after the year 9999", maxMilli, maxMilli + 1, ErrMalformed},
		{"seq of nothing, expiry of everything", 0, 1<<64 - 1, ErrMalformed},
	} {
		key, v := forge(c.seq, c.expiry)
		if err := check(key, v, birth); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestSizesThatAreRefused(t *testing.T) {
	k := seed(1).Keys(At(birth))
	value := seal(t, k, anna(t), birth)
	for _, v := range [][]byte{nil, {}, value[:1], value[:Size-1], append(bytes.Clone(value), 0), make([]byte, 1<<20)} {
		if _, err := Parse(v); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes: %v", len(v), err)
		}
	}
	for _, key := range []string{"", "/", "/godwit/", "/pk/" + k.Key(), k.Key() + "x", k.Key()[:39], "/ipns/" + k.Key()[8:], k.Key()[1:]} {
		if err := (Validator{}).Validate(key, value); !errors.Is(err, ErrKey) {
			t.Errorf("key %q: %v", key, err)
		}
	}
}

// The validator goes by the clock of the computer: a record is good until it expires.
func TestValidatorInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := seed(1).Keys(At(time.Now()))
		value := seal(t, k, anna(t), time.Now())
		var v Validator
		if err := v.Validate(k.Key(), value); err != nil {
			t.Fatal(err)
		}
		time.Sleep(MaxLife - time.Millisecond)
		if err := v.Validate(k.Key(), value); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		if err := v.Validate(k.Key(), value); !errors.Is(err, ErrExpired) {
			t.Fatal(err)
		}
	})
}

func TestTheNewerStays(t *testing.T) {
	k := seed(1).Keys(At(birth))
	old, young := seal(t, k, anna(t), birth), seal(t, k, anna(t), birth.Add(time.Millisecond))
	twin := seal(t, k, anna(t), birth.Add(time.Millisecond))
	greater := 1
	if bytes.Compare(twin, young) > 0 {
		greater = 2
	}
	for _, c := range []struct {
		values [][]byte
		want   int
	}{
		{[][]byte{old}, 0},
		{[][]byte{old, young}, 1},
		{[][]byte{young, old}, 0},
		{[][]byte{young, young}, 0}, // the same again is not refused as old
		{[][]byte{old, young, twin}, greater},
		{[][]byte{nil, old, []byte("young")}, 1},
	} {
		if got, err := (Validator{}).Select(k.Key(), c.values); err != nil || got != c.want {
			t.Errorf("chose %d, want %d (%v)", got, c.want, err)
		}
	}
	for _, none := range [][][]byte{nil, {nil}, {old[1:]}} {
		if _, err := (Validator{}).Select(k.Key(), none); !errors.Is(err, ErrMalformed) {
			t.Error(err)
		}
	}
}

func TestContentThatCannotBeSealed(t *testing.T) {
	k := seed(1).Keys(At(birth))
	rsa, err := peer.Decode("QmaCpDMGvV2BGHeYERUEnRQAwe3N8SzbUtfsmvsqQLuvuJ")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Content){
		"no device":                func(c *Content) { c.Device.ID = "" },
		"an RSA device":            func(c *Content) { c.Device.ID = rsa },
		"nine addresses":           func(c *Content) { c.Device.Addrs = many(9) },
		"an address twice":         func(c *Content) { c.Device.Addrs = append(c.Device.Addrs, c.Device.Addrs[0]) },
		"an address with a PeerID": func(c *Content) { c.Device.Addrs[0] = ma.StringCast("/ip4/1.2.3.4/tcp/1/p2p/" + id(t, 9).String()) },
		"an empty address":         func(c *Content) { c.Device.Addrs[0] = nil },
		"a relay twice":            func(c *Content) { c.Relays[1] = c.Relays[0] },
		"its own relay":            func(c *Content) { c.Relays[1] = c.Device },
		"four relays": func(c *Content) {
			c.Relays = append(c.Relays, peer.AddrInfo{ID: id(t, 8)}, peer.AddrInfo{ID: id(t, 9)})
		},
		"a relay that is no PeerID": func(c *Content) { c.Relays[0].ID = "relay" },
		"too much": func(c *Content) {
			c.Relays = nil
			for n := range byte(3) {
				c.Relays = append(c.Relays, peer.AddrInfo{ID: id(t, 50+n), Addrs: long(8)})
			}
		},
	} {
		c := anna(t)
		change(&c)
		if _, err := k.Seal(c, birth, MaxLife); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, life := range []time.Duration{0, -1, time.Microsecond, MaxLife + 1} {
		if _, err := k.Seal(anna(t), birth, life); !errors.Is(err, ErrMalformed) {
			t.Errorf("life %v: %v", life, err)
		}
	}
	for _, at := range []time.Time{time.Unix(-1, 0), time.UnixMilli(maxMilli)} {
		if _, err := k.Seal(anna(t), at, MaxLife); !errors.Is(err, ErrMalformed) {
			t.Errorf("at %v: %v", at, err)
		}
	}
}

func many(n int) (as []ma.Multiaddr) {
	for i := range n {
		as = append(as, ma.StringCast(fmt.Sprintf("/ip4/11.22.33.44/tcp/%d", i+1)))
	}
	return as
}

func long(n int) (as []ma.Multiaddr) {
	for i := range n {
		as = append(as, ma.StringCast(fmt.Sprintf("/ip6/2606:4700::%x/udp/4001/quic-v1", i+1)))
	}
	return as
}

// A computer with too many addresses tells those that fit.
func TestFit(t *testing.T) {
	own := append(many(20), many(1)...)
	own[3] = ma.StringCast(own[3].String() + "/p2p/" + id(t, 1).String())
	own[4] = ma.StringCast(own[4].String() + "/p2p/" + id(t, 2).String())
	c := Content{Device: peer.AddrInfo{ID: id(t, 1), Addrs: own}}
	for n := range byte(6) {
		c.Relays = append(c.Relays, peer.AddrInfo{ID: id(t, n/2*2+1), Addrs: long(12)})
	}
	got := c.Fit()
	if _, err := seed(1).Keys(0).Seal(got, birth, MaxLife); err != nil {
		t.Fatal(err)
	}
	if len(got.Relays) != 2 || len(got.Device.Addrs) < 4 || len(got.Relays[1].Addrs) < 4 || !got.Device.Addrs[3].Equal(many(4)[3]) {
		t.Fatalf("%v", got)
	}
	if again := got.Fit(); !reflect.DeepEqual(again, got) {
		t.Fatal("what fits was changed")
	}
}

func TestContentThatIsRefused(t *testing.T) {
	c := anna(t)
	good, err := c.marshal()
	if err != nil {
		t.Fatal(err)
	}
	n := c.size()
	for name, change := range map[string]func([]byte){
		"version":          func(b []byte) { b[0] = 2 },
		"PeerID":           func(b []byte) { b[1] ^= 1 },
		"key type":         func(b []byte) { b[4] = 0 },
		"address count":    func(b []byte) { b[39] = 9 },
		"address length":   func(b []byte) { b[40]-- },
		"address protocol": func(b []byte) { b[41] = 0xff },
		"padding":          func(b []byte) { b[n] = 1 },
		"last byte":        func(b []byte) { b[511] = 1 },
	} {
		b := bytes.Clone(good)
		change(b)
		if _, err := parseContent(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range contentSize {
		if _, err := parseContent(good[:i]); !errors.Is(err, ErrMalformed) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
}

// testdata/record.json must never change while the labels are "godwit/1".
func TestFrozen(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 3)
	type period struct{ T, Key, Pub, Seal string }
	v := struct {
		Seed     string
		Periods  []period
		Seq      int64
		Content  string
		Record   string
		Contents []string
	}{Seed: hex.EncodeToString(ptr(seed(1))[:]), Seq: birth.UnixMilli()}
	for _, p := range []Time{0, At(birth), 1<<32 - 1} {
		k := seed(1).Keys(p)
		v.Periods = append(v.Periods, period{
			fmt.Sprint(uint32(p)), hex.EncodeToString([]byte(k.Key())),
			hex.EncodeToString(k.sign.Public().(ed25519.PublicKey)), hex.EncodeToString(k.seal[:]),
		})
	}
	c := anna(t)
	text, err := c.marshal()
	if err != nil {
		t.Fatal(err)
	}
	v.Content = hex.EncodeToString(text)
	k := seed(1).Keys(At(birth))
	value := seal(t, k, c, birth)
	v.Record = hex.EncodeToString(value)
	r, err := Parse(value)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := k.Open(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append([]peer.AddrInfo{opened.Device}, opened.Relays...) {
		v.Contents = append(v.Contents, p.String())
	}
	got, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile("testdata/record.json", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/record.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("testdata/record.json no longer holds: the format changed. Now:\n%s", got)
	}
}

func frozenRecord(t testing.TB) []byte {
	t.Helper()
	var v struct{ Record string }
	text, err := os.ReadFile("testdata/record.json")
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	value, err := hex.DecodeString(v.Record)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func ptr[T any](v T) *T { return &v }

func FuzzParse(f *testing.F) {
	k := seed(1).Keys(At(birth))
	value := frozenRecord(f) // the workers are processes of their own: all must have the same
	_, eve := forge(0, 1)
	for _, v := range [][]byte{nil, value, value[:Size-1], append(bytes.Clone(value), 0), eve} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		r, err := Parse(v)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(r.Bytes(), v) {
			t.Fatal("two encodings of one record")
		}
		if life := r.Expiry.Sub(r.Seq); life <= 0 || life > MaxLife {
			t.Fatalf("lives for %v", life)
		}
		if r.Verify(k.Key(), birth) == nil && !bytes.Equal(v, value) {
			t.Fatal("forged")
		}
		if _, err := k.Open(r); err == nil && !bytes.Equal(v, value) {
			t.Fatal("opened a forgery")
		}
	})
}

func FuzzContent(f *testing.F) {
	for _, c := range []Content{anna(f), {Device: peer.AddrInfo{ID: id(f, 1)}}, Content{Device: peer.AddrInfo{ID: id(f, 1), Addrs: long(8)}}.Fit()} {
		text, err := c.marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseContent(text)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		again, err := c.marshal()
		if err != nil || !bytes.Equal(again, text) {
			t.Fatalf("two encodings of one content: %v", err)
		}
	})
}
