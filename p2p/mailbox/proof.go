package mailbox

import (
	"crypto/ed25519"
	"sync/atomic"

	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
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
		c.judge(voi.VerifyWithOptions(c.public[:], c.text, c.signature[:], claimRules()))
	}
	if c.verdict.Load() == fails {
		return ErrSignature
	}
	return nil
}

// claimRules are by which signatures of claims are good: those of ZIP 215, by which one
// is good alone if, and only if, it is good together with others.
func claimRules() *voi.Options { return &voi.Options{Verify: voi.VerifyOptionsZIP_215} }

// receiptRules are by which a Client takes a receipt's signature for good: those of crypto/ed25519,
// by which it is evidence (Receipt.Verify). This way takes half the time.
func receiptRules() *voi.Options { return &voi.Options{Verify: voi.VerifyOptionsStdLib} }

// together is from how many claims on it pays to verify them together.
const together = 4

// verify judges claims. One that does not hold costs all the others their being verified
// together, so that of a stream on which one failed is verified by itself, and that of a stranger.
func verify(claims []*claim) {
	batch, rules := voi.NewBatchVerifierWithCapacity(len(claims)), claimRules()
	var in []*claim
	for _, c := range claims {
		if c.verdict.Load() == unjudged && c.failures.Load() == 0 && !c.strange {
			batch.AddWithOptions(c.public[:], c.text, c.signature[:], rules)
			in = append(in, c)
		}
	}
	if len(in) < together || !batch.VerifyBatchOnly(nil) {
		return // outcome verifies each
	}
	for _, c := range in {
		c.judge(true)
	}
}
