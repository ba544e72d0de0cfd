package mailbox

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/crypto/argon2"
)

// The work that a stranger does for a deposit into an intro queue (section 2.2).
const (
	// IntroCells bounds the cells pending in an intro queue, unless Quotas say else.
	IntroCells = 200
	// DefaultIntroWork is the least work, in bits, of a relay at ease: 128
	// tries on average, about half a second of one core.
	DefaultIntroWork = 7
	// loadWork bounds the work asked because of load: 2,048 tries, some 8 s of one core.
	loadWork = 11
	// MaxIntroWork bounds all work, in bits. More than loadWork is asked only
	// to displace a weaker cell from a full queue. 8,192 tries, some 30 s of one core.
	MaxIntroWork = 13
	// introGood is how long terms are good for.
	introGood = 10 * time.Minute

	// One try is Argon2id (RFC 9106) of one pass and one lane over introMemory
	// KiB: a few milliseconds for the relay that checks one, too much memory
	// for a try to be cheap on a graphics card.
	introPasses = 1
	introMemory = 4 << 10
	introLanes  = 1
	// sealBits is the SHA-256 that makes a proof, once, beside its Argon2id: to waste
	// a relay's milliseconds with proofs that do not hold costs more than it wastes.
	sealBits = 18
	// workers bounds the tries at once in Work, each with introMemory.
	workers = 4
)

// Terms are what a relay asks for one deposit into an intro queue. They are
// good for one Proof, on the connection that they came by.
type Terms struct {
	Work  uint8     // bits, at most MaxIntroWork
	Until time.Time // they are good, by our clock

	relay     peer.ID
	queue     QID
	challenge [32]byte
}

// Proof is the work that was done for one cell.
type Proof struct {
	terms Terms
	cell  CellID
	try   [8]byte // whose Argon2id starts with enough zero bits
	seal  [8]byte // beside it, whose SHA-256 starts with sealBits zero bits
}

// Work does the work that terms ask for a deposit of a cell. At the least work it takes
// about half a second of one core, at MaxIntroWork half a minute, and luck makes it up to
// five times as much; it uses up to four cores and 4 MiB of memory on each. Errors are
// ErrWork if the terms ask too much or are over, or the context's.
func Work(ctx context.Context, t Terms, cell []byte) (Proof, error) {
	if t.Work > MaxIntroWork {
		return Proof{}, fmt.Errorf("%w: %d bits", ErrWork, t.Work)
	}
	ctx, cancel := context.WithDeadlineCause(ctx, t.Until, fmt.Errorf("%w: it came too late", ErrWork))
	defer cancel()
	var (
		p     = Proof{terms: t, cell: IDOf(cell)}
		salt  = introSalt(t.relay, t.challenge, t.queue, p.cell, t.Work)
		found = make(chan [8]byte, workers)
		tries sync.WaitGroup
		stop  = make(chan struct{})
	)
	for range min(runtime.GOMAXPROCS(0), workers) {
		var start [8]byte
		rand.Read(start[:]) // never fails, see crypto/rand
		tries.Go(func() {
			for n := binary.BigEndian.Uint64(start[:]); ; n++ {
				select {
				case <-ctx.Done():
					return
				case <-stop:
					return
				default:
				}
				try := [8]byte(binary.BigEndian.AppendUint64(nil, n))
				if tried(salt, try) >= int(t.Work) {
					found <- try
					return
				}
			}
		})
	}
	defer tries.Wait()
	defer close(stop)
	select {
	case p.try = <-found:
		p.seal = sealed(salt, p.try)
		return p, nil
	case <-ctx.Done():
		return Proof{}, context.Cause(ctx)
	}
}

// introSalt binds all that a proof is for.
func introSalt(relay peer.ID, challenge [32]byte, q QID, cell CellID, work uint8) [32]byte {
	b := signed("godwit/1/mailbox/intro", relay, challenge, q[:])
	b = append(b, cell[:]...)
	return sha256.Sum256(append(b, work))
}

// tried is how many zero bits a try starts with.
func tried(salt [32]byte, try [8]byte) int {
	return leadingZeros(argon2.IDKey(try[:], salt[:], introPasses, introMemory, introLanes, 32))
}

// isSealed is the cheap half of a proof.
func isSealed(salt [32]byte, try, seal [8]byte) bool {
	h := sha256.Sum256(sealText(salt, try, seal))
	return leadingZeros(h[:]) >= sealBits
}

func sealText(salt [32]byte, try, seal [8]byte) []byte {
	b := make([]byte, 0, 32+8+8)
	return append(append(append(b, salt[:]...), try[:]...), seal[:]...)
}

// sealed searches the seal of a try, some 50 ms.
func sealed(salt [32]byte, try [8]byte) (seal [8]byte) {
	b := sealText(salt, try, seal)
	for n := uint64(0); ; n++ {
		binary.BigEndian.PutUint64(b[32+8:], n)
		if h := sha256.Sum256(b); leadingZeros(h[:]) >= sealBits {
			return [8]byte(b[32+8:])
		}
	}
}
