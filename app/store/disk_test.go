package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/identity"
)

// marker is in everything that a person wrote in these stories.
const marker = "purple-otter-4711"

// fill writes something with the marker into every column that holds words.
func fill(t testing.TB, s *Store, n int) {
	t.Helper()
	update(t, s, func(tx *Tx) error {
		account := identity.AccountID(sha256.Sum256([]byte(fmt.Sprint("contact", n))))
		contact, err := tx.InsertContact(Contact{Account: account, Name: marker, Petname: fmt.Sprint(marker, n), Kind: ContactKnown, Chain: []byte(marker), Created: day0()})
		if err != nil {
			return err
		}
		conversation, err := tx.InsertConversation(Conversation{Conversation: ConversationID(account), Contact: contact})
		if err != nil {
			return err
		}
		for i := range 10 {
			id := sha256.Sum256([]byte(fmt.Sprint("message", n, i)))
			row, err := tx.InsertMessage(Message{Message: MessageID(id[:16]), Conversation: conversation, Mine: true, Sent: day0(), At: day0(), Kind: 1,
				Body: bytes.Repeat([]byte(marker), 1+100*(i%2)), State: Queued, Shown: true})
			if err != nil {
				return err
			}
			if _, err := tx.Enqueue(Outgoing{Message: row, Device: bobsPhone, Class: ClassMessage, Item: []byte(marker), Created: day0(), Next: day0()}); err != nil {
				return err
			}
		}
		return tx.PutSetting(marker, []byte(marker))
	})
}

// grep returns the files under dir in which any of the words stands.
func grep(t testing.TB, dir string, words ...[]byte) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		for _, w := range words {
			if bytes.Contains(text, w) {
				found = append(found, fmt.Sprintf("%s (%q)", filepath.Base(path), w))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestNothingReadableOnTheDisk looks at the database, its WAL, what a migration
// leaves and the folder for temporary files, while everything is open and after.
func TestNothingReadableOnTheDisk(t *testing.T) {
	temp := t.TempDir()
	for _, name := range []string{"TMPDIR", "SQLITE_TMPDIR", "TEMP", "TMP"} {
		t.Setenv(name, temp)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "godwit.db")
	s := openAt(t, path, Options{Create: true, CacheKiB: 64}) // so small that pages spill
	for n := range 20 {
		fill(t, s, n)
	}
	view(t, s, func(tx *Tx) error { // a sort that is too big for the cache
		_, err := all(tx, integer, "SELECT count(*) FROM (SELECT DISTINCT body, reason, id FROM messages ORDER BY body, state)")
		return err
	})
	words := [][]byte{[]byte(marker), []byte("CREATE TABLE"), []byte("SQLite format"), testKey[:], []byte(pageKey(testKey))}
	look := func(when string) {
		t.Helper()
		for _, where := range []string{dir, temp} {
			if found := grep(t, where, words...); len(found) > 0 {
				t.Errorf("%s: readable: %v", when, found)
			}
		}
	}
	if info, err := os.Stat(path + "-wal"); err != nil || info.Size() == 0 {
		t.Fatal("the story needs a WAL: ", err)
	}
	look("open")
	copyAll(t, dir, dir+"-copy")
	update(t, s, func(tx *Tx) error { return tx.run("DELETE FROM outbox") })
	if err := s.Maintain(t.Context(), day0()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path + "-wal"); err != nil || info.Size() != 0 {
		t.Errorf("the WAL was not emptied: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	look("closed")
	if _, err := Open(t.Context(), path, testKey, Options{migrations: tomorrow(t, "SELECT nonsense;")}); err == nil {
		t.Fatal("the migration should fail")
	}
	look("with the copy of a migration")

	// With the key it is all there, so the search looked in the right place.
	copied := openAt(t, filepath.Join(dir+"-copy", "godwit.db"), Options{})
	if n := get(t, copied, func(tx *Tx) (int64, error) {
		return one(tx, integer, "SELECT count(*) FROM messages WHERE instr(body, ?)", []byte(marker))
	}); n != 200 {
		t.Errorf("%d messages with the marker", n)
	}
}

// TestDeletedIsOverwritten: what was deleted is not in the file even for who
// has the key.
func TestDeletedIsOverwritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "godwit.db")
	s := openAt(t, path, Options{Create: true})
	fill(t, s, 1)
	if n := bytes.Count(plainPages(t, s), []byte(marker+marker+marker)); n == 0 {
		t.Error("the search finds nothing at all")
	}
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.run("DELETE FROM outbox"), tx.run("DELETE FROM messages"))
	})
	if err := s.Maintain(t.Context(), day0()); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(plainPages(t, s), []byte(marker+marker+marker)); n != 0 {
		t.Errorf("a deleted body is there %d times", n)
	}
}

// plainPages returns the pages of the database as SQLite sees them.
func plainPages(t testing.TB, s *Store) []byte {
	t.Helper()
	c, err := s.take(t.Context(), s.writer)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.writer <- c }()
	if err := c.exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	pages, err := readAll(c.sqlite)
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

func TestOnlyTheOwnerCanReadTheFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows keeps permissions elsewhere")
	}
	dir := t.TempDir()
	s := openAt(t, filepath.Join(dir, "godwit.db"), Options{Create: true})
	fill(t, s, 1)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
	if len(entries) != 3 {
		t.Errorf("%d files, want database, WAL and index", len(entries))
	}
}

// closedProfile returns the folder of a closed profile with n contacts.
func closedProfile(t testing.TB, n int) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, "godwit.db")
	s := openAt(t, path, Options{Create: true})
	for i := range n {
		fill(t, s, i)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, path
}

func TestTheWrongKeyTouchesNothing(t *testing.T) {
	dir, path := closedProfile(t, 1)
	crashed := dir + "-crashed"
	s := openAt(t, path, Options{})
	fill(t, s, 2)
	copyAll(t, dir, crashed) // with a WAL
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{dir, crashed} {
		before := snapshot(t, dir)
		_, err := Open(t.Context(), filepath.Join(dir, "godwit.db"), [32]byte{99}, Options{Create: true})
		is(t, "wrong key", err, ErrKey)
		if after := snapshot(t, dir); after != before {
			t.Errorf("the files changed:\n%s\n%s", before, after)
		}
	}
	openAt(t, filepath.Join(crashed, "godwit.db"), Options{}) // and the right one still opens it
}

// snapshot is the names and hashes of a folder's files.
func snapshot(t testing.TB, dir string) string {
	t.Helper()
	var text string
	for _, name := range listing(t.(*testing.T), dir) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("%s %x\n", name, sha256.Sum256(b))
	}
	return text
}

func TestThereIsNoDatabase(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "godwit.db")
	_, err := Open(t.Context(), path, testKey, Options{})
	is(t, "no file", err, ErrMissing)
	same(t, "files", len(listing(t, dir)), 0)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), path, testKey, Options{})
	is(t, "an empty file", err, ErrMissing)
	openAt(t, path, Options{Create: true})
	_, err = Open(t.Context(), filepath.Join(dir, "no", "such", "dir"), testKey, Options{Create: true})
	is(t, "no folder", err, fs.ErrNotExist)
}

// readEverything opens a profile and reads all of it: the error of the first
// step that fails.
func readEverything(ctx context.Context, path string) (err error) {
	s, err := Open(ctx, path, testKey, Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.Check(ctx)
}

// TestEveryFlippedBitShows: whatever block of the file a bit is flipped in, some
// clear error comes of it and never a wrong answer.
func TestEveryFlippedBitShows(t *testing.T) {
	dir, path := closedProfile(t, 5)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := readEverything(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	flipped := filepath.Join(dir, "flipped.db")
	random := rand.New(rand.NewPCG(1, 2))
	const block = 4096 // what Adiantum scrambles together
	used := 0
	for at := 0; at < len(whole); at += block {
		b := bytes.Clone(whole)
		b[at+random.IntN(block)] ^= 1 << random.IntN(8)
		if err := os.WriteFile(flipped, b, 0o600); err != nil {
			t.Fatal(err)
		}
		err := readEverything(t.Context(), flipped)
		switch {
		case errors.Is(err, ErrDamaged), errors.Is(err, ErrKey) && at == 0:
			used++
		default:
			t.Errorf("a bit flipped at block %d of %d: %v", at/block, len(whole)/block, err)
		}
		for _, name := range []string{"flipped.db-wal", "flipped.db-shm"} {
			if err := removeIfThere(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d blocks", used)
}

func TestATruncatedFileShows(t *testing.T) {
	dir, path := closedProfile(t, 5)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(dir, "short.db")
	for _, n := range []int{1, 99, 100, 4095, 4096, 4097, pageSize - 1, pageSize, pageSize + 1, 2 * pageSize, len(whole) / 2, len(whole) - pageSize, len(whole) - 4096, len(whole) - 1} {
		if err := os.WriteFile(short, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := readEverything(t.Context(), short); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrKey) {
			t.Errorf("cut to %d of %d bytes: %v", n, len(whole), err)
		}
	}
}

// TestADamagedWAL: SQLite takes a WAL up to the first frame whose checksum is
// wrong, so that what was committed last may be missing. What is there is whole.
func TestADamagedWAL(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, filepath.Join(dir, "godwit.db"), Options{Create: true})
	for n := range 5 {
		fill(t, s, n)
	}
	copyAll(t, dir, dir+"-crashed")
	dir += "-crashed"
	path := filepath.Join(dir, "godwit.db")
	wal, err := os.ReadFile(path + "-wal")
	if err != nil || len(wal) == 0 {
		t.Fatal("the story needs a WAL: ", err)
	}
	written := len(bytes.TrimRight(wal, "\x00"))
	wal[written-written/4] ^= 1
	if err := os.WriteFile(path+"-wal", wal, 0o600); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path, Options{})
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	people := len(get(t, s, (*Tx).Contacts))
	messages := get(t, s, func(tx *Tx) (int64, error) { return one(tx, integer, "SELECT count(*) FROM messages") })
	if people == 5 || messages != int64(10*people) {
		t.Errorf("%d people and %d messages", people, messages)
	}
}

// TestARolledBackFileOpens: an old copy cannot be told from the newest, and is
// whole. What sessions make of it is theirs to show (package session).
func TestARolledBackFileOpens(t *testing.T) {
	dir, path := closedProfile(t, 1)
	copyAll(t, dir, dir+"-old")
	s := openAt(t, path, Options{})
	fill(t, s, 2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	old := openAt(t, filepath.Join(dir+"-old", "godwit.db"), Options{})
	same(t, "people", len(get(t, old, (*Tx).Contacts)), 1)
	if err := old.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestSealedRowsAreBoundToTheirPlace: who can write the file can put old pages
// back, and the database may not notice. A secret in the wrong row shows.
func TestSealedRowsAreBoundToTheirPlace(t *testing.T) {
	s := openNew(t)
	update(t, s, func(tx *Tx) error {
		for n := range byte(2) {
			row := Session{SessionHead: SessionHead{ID: SessionID{n}, Device: bobsPhone, Created: day0(), Used: day0()}, State: []byte{n}}
			if err := tx.InsertSession(row); err != nil {
				return err
			}
			if err := tx.PutRelay(Relay{Peer: PeerID([]byte{n}), Source: RelayByHand, Added: day0()}); err != nil {
				return err
			}
			if _, err := tx.InsertPrekeySet(PrekeySet{Secrets: []byte{n}, Created: day0()}); err != nil {
				return err
			}
			if _, err := tx.InsertOwnQueue(OwnQueue{Device: new(identity.DevicePublic), Relay: "r"}); err != nil {
				return err
			}
			i := Invitation{ID: InvitationID{n}, Created: day0(), Expires: day0(), State: InvitationOpen}
			if err := tx.InsertInvitation(i); err != nil {
				return err
			}
			if err := tx.InsertBundle(Bundle{ID: BundleID{n}, PrekeySet: 1, OneTime: new([32]byte), Expires: day0()}); err != nil {
				return err
			}
			if _, err := tx.PutTheirQueues(identity.DevicePublic{n}, 1, []TheirQueue{{Relay: "r", Expires: day0()}}); err != nil {
				return err
			}
			if _, err := tx.PutFriendOffer(FriendOffer{Device: identity.DevicePublic{n}, Relay: "r", Told: day0()}); err != nil {
				return err
			}
		}
		return nil
	})
	reads := map[string]func(*Tx) error{
		"sessions":      func(tx *Tx) error { _, err := tx.Session(SessionID{0}); return err },
		"relays":        func(tx *Tx) error { _, err := tx.Relay(PeerID([]byte{0})); return err },
		"prekey_sets":   func(tx *Tx) error { _, err := tx.PrekeySet(1); return err },
		"own_queues":    func(tx *Tx) error { _, err := tx.OwnQueue(1); return err },
		"invitations":   func(tx *Tx) error { _, err := tx.Invitation(InvitationID{0}); return err },
		"bundles":       func(tx *Tx) error { _, err := tx.Bundle(BundleID{0}); return err },
		"friend_offers": func(tx *Tx) error { _, err := tx.FriendOffer(identity.DevicePublic{0}); return err },
		"their_queues":  func(tx *Tx) error { _, err := tx.TheirQueues(identity.DevicePublic{0}); return err },
	}
	for table, read := range reads {
		rows := " FROM (SELECT * FROM " + table + " ORDER BY 1 DESC LIMIT 1)"
		for what, change := range map[string]string{
			"moved":     "(SELECT sealed" + rows + ")",
			"bit":       "substr(sealed, 1, length(sealed) - 1) || iif(substr(sealed, -1) = x'00', x'01', x'00')",
			"cut short": "x'00'",
		} {
			sorry := errors.New("undo")
			err := s.Update(t.Context(), func(tx *Tx) error {
				if err := read(tx); err != nil {
					t.Errorf("%s as it is: %v", table, err)
				}
				if err := tx.run("UPDATE " + table + " SET sealed = CAST(" + change + " AS BLOB)"); err != nil {
					return err
				}
				is(t, table+" "+what, read(tx), ErrDamaged)
				return sorry
			})
			is(t, table+" "+what, err, sorry)
		}
	}
}

// TestTheDiskIsFull: the transaction is refused whole, the profile stays usable,
// and goes on when there is room again.
func TestTheDiskIsFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "godwit.db")
	s := openAt(t, path, Options{Create: true, maxPages: 96})
	written := fillUp(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path, Options{})
	same(t, "people", len(get(t, s, (*Tx).Contacts)), written)
	fill(t, s, written)
}

// fillUp fills a profile until there is no room, and returns how many contacts
// were kept.
func fillUp(t *testing.T, s *Store) (n int) {
	t.Helper()
	var err error
	for err == nil {
		if n > 10_000 {
			t.Fatal("the disk does not fill")
		}
		account := identity.AccountID(sha256.Sum256([]byte(fmt.Sprint("contact", n))))
		err = s.Update(t.Context(), func(tx *Tx) error {
			_, err := tx.InsertContact(Contact{Account: account, Name: marker, Kind: ContactKnown, Chain: make([]byte, 8000), Created: day0()})
			return err
		})
		if err == nil {
			n++
		}
	}
	is(t, "full", err, ErrFull)
	same(t, "people while full", len(get(t, s, (*Tx).Contacts)), n)
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("after the disk was full: %v", err)
	}
	return n
}

func TestAReadOnlyProfile(t *testing.T) {
	if os.Geteuid() == 0 || runtime.GOOS == "windows" {
		t.Skip("permissions do not bind this user; TestAReadOnlyDisk is for it")
	}
	dir, path := closedProfile(t, 1)
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(dir, 0o700) })
	_, err := Open(t.Context(), path, testKey, Options{})
	is(t, "read-only", err, ErrReadOnly)
}

func FuzzDecodeList(f *testing.F) {
	f.Add([]byte{1})
	f.Add([]byte{1, 0, 0, 0, 2, 7, 8})
	f.Add([]byte{1, 0, 9, 1})
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := decodeList(b)
		if err != nil {
			if !errors.Is(err, errList) {
				t.Errorf("error is %v", err)
			}
			return
		}
		again, err := encodeList(list)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x and %x are one list", b, again)
		}
	})
}

// Wherever a profile is, SQLite opens the file that is meant.
func TestThePathOfAProfile(t *testing.T) {
	paths := map[string]string{"/home/ben/a b?c#d%e": "file:/home/ben/a%20b%3Fc%23d%25e?"}
	if runtime.GOOS == "windows" {
		paths = map[string]string{`C:\Users\Ben\a b`: "file:C:/Users/Ben/a%20b?", `\\server\share\ben`: "file:////server/share/ben?"}
	}
	for path, want := range paths {
		if got := uri(path, vfsName); !strings.HasPrefix(got, want) {
			t.Errorf("%s is opened as %s", path, got)
		}
	}
}
