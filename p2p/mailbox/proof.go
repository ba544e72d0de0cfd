package mailbox

import (
	"crypto/ed25519"
	"sync/atomic"

	"github.com/hdevalence/ed25519consensus"
)

// proofs are the latest max distinct queues of PROVE on a stream, with what is known of
// each. Client and relay remember the same ones, see PROVE in section 2.
type proofs[T any] struct {
	max   int
	known map[QID]T
	order []QID // a ring once it is full
	next  int
}

// set remembers a proof. The first of a queue makes the oldest
// forgotten; a later one only changes what is known.
func (p *proofs[T]) set(q QID, proof T) {
	if p.known == nil {
		p.known = make(map[QID]T)
	}
	if _, ok := p.known[q]; ok {
		p.known[q] = proof
		return
	}
	if len(p.order) < p.max {
		p.order = append(p.order, q)
	} else {
		delete(p.known, p.order[p.next])
		p.order[p.next] = q
		p.next = (p.next + 1) % p.max
	}
	p.known[q] = proof
}

// claim is a PROVE as the relay remembers it. Its signature is verified when something
// rests on it: the claims of a group of deposits together, which costs about half of what
// they cost one by one.
type claim struct {
	refused   error // why it does not hold, whatever its signature
	public    [ed25519.PublicKeySize]byte
	signature [ed25519.SignatureSize]byte
	text      []byte        // that is signed
	failures  *atomic.Int32 // of the stream
	strange   bool          // it is of somebody who has not proved anything, and may be there to spoil others' work
	verdict   atomic.Int32
}

// Verdicts on a claim.
const (
	unjudged int32 = iota
	holds
	fails
)

func (c *claim) judge(good bool) {
	verdict := fails
	if good {
		verdict = holds
	}
	if c.verdict.CompareAndSwap(unjudged, verdict) && !good {
		c.failures.Add(1)
	}
}

// outcome verifies the claim, if that was not done, and tells why it does not hold.
func (c *claim) outcome() error {
	if c == nil {
		return ErrUnproven
	}
	if c.refused != nil {
		return c.refused
	}
	if c.verdict.Load() == unjudged {
		c.judge(ed25519consensus.Verify(c.public[:], c.text, c.signature[:]))
	}
	if c.verdict.Load() == fails {
		return ErrSignature
	}
	return nil
}

// together is from how many claims on it pays to verify them together.
const together = 4

// verify judges claims. One that does not hold costs all the others their being verified
// together, so that of a stream on which one failed is verified by itself, and that of a stranger.
func verify(claims []*claim) {
	batch := ed25519consensus.NewPreallocatedBatchVerifier(len(claims))
	var in []*claim
	for _, c := range claims {
		if c.verdict.Load() == unjudged && c.failures.Load() == 0 && !c.strange {
			batch.Add(c.public[:], c.text, c.signature[:])
			in = append(in, c)
		}
	}
	if len(in) < together || !batch.Verify() {
		return // outcome verifies each
	}
	for _, c := range in {
		c.judge(true)
	}
}
