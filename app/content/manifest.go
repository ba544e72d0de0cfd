package content

import (
	"fmt"

	"github.com/godwit-im/godwit/identity"
)

// Manifest shows the reader's device the newest manifests of its *own* account, which do
// not list it any more: the account was recovered on another device. It is the last that
// the author sends on their session. They prove themselves (identity.Chain.Verify).
//
//	body: chain, as identity.Chain encodes it
type Manifest struct {
	Chain identity.Chain
}

// Marshal encodes the manifests.
func (m Manifest) Marshal() ([]byte, error) { return m.Chain.Marshal(), nil }

// ParseManifest reads a body of KindManifest. What the chain says is not verified yet.
func ParseManifest(body []byte) (m Manifest, err error) {
	if m.Chain, err = identity.ParseChain(body); err != nil {
		return m, fmt.Errorf("%w: manifest: %w", ErrMalformed, err)
	}
	return m, nil
}
