package chat

import (
	"context"
	"crypto/hpke"
	"crypto/mlkem"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/identity"
	"github.com/godwit-im/godwit/identity/pqxdh"
)

// prekeysFor is how long new bundles offer the same prekeys.
const prekeysFor = 7 * 24 * time.Hour

// prekeys are the private halves of what a week's bundles offer.
//
//	version 1 | SPK 32 | PQPK seed 64 | length 2 | IPK
type prekeys struct {
	signed identity.PrekeyPrivate
	kem    *mlkem.DecapsulationKey1024
	intro  hpke.PrivateKey
}

func newPrekeys() (prekeys, error) {
	kem, err := mlkem.GenerateKey1024()
	if err != nil {
		return prekeys{}, err
	}
	intro, err := pqxdh.GenerateIntro()
	return prekeys{identity.GeneratePrekey(), kem, intro}, err
}

func (p prekeys) marshal() ([]byte, error) {
	signed := p.signed.Bytes()
	intro, err := p.intro.Bytes()
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddUint8(1)
	b.AddBytes(signed[:])
	b.AddBytes(p.kem.Bytes())
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(intro) })
	return b.Bytes()
}

func parsePrekeys(raw []byte) (p prekeys, err error) {
	s := cryptobyte.String(raw)
	var version uint8
	var signed [32]byte
	var seed []byte
	var intro cryptobyte.String
	if !s.ReadUint8(&version) || version != 1 || !s.CopyBytes(signed[:]) || !s.ReadBytes(&seed, mlkem.SeedSize) ||
		!s.ReadUint16LengthPrefixed(&intro) || !s.Empty() {
		return p, fmt.Errorf("prekeys: %w", store.ErrDamaged)
	}
	p.signed = identity.NewPrekeyPrivate(signed)
	if p.kem, err = mlkem.NewDecapsulationKey1024(seed); err != nil {
		return p, fmt.Errorf("prekeys: %w", store.ErrDamaged)
	}
	p.intro, err = pqxdh.ParseIntro(intro)
	return p, err
}

// currentPrekeys are those that new bundles offer, made anew each week.
func currentPrekeys(t *turn) (id int64, p prekeys, err error) {
	set, err := t.NewestPrekeySet()
	if err == nil && t.now.Sub(set.Created) < prekeysFor {
		p, err = parsePrekeys(set.Secrets)
		return set.ID, p, err
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return 0, p, err
	}
	if p, err = newPrekeys(); err != nil {
		return 0, p, err
	}
	raw, err := p.marshal()
	if err != nil {
		return 0, p, err
	}
	id, err = t.InsertPrekeySet(store.PrekeySet{Secrets: raw, Created: t.now})
	return id, p, err
}

// retirePrekeys says of sets that no new bundle names when they are erased.
func (c *Chat) retirePrekeys(ctx context.Context) error {
	return forEach(ctx, c, (*store.Tx).PrekeySets, func(t *turn, set store.PrekeySet) error {
		if !set.EraseAfter.IsZero() || t.now.Sub(set.Created) <= prekeysFor {
			return nil
		}
		// The last bundle that named it lived MaxLifetime at most.
		return t.RetirePrekeySet(set.ID, t.now.Add(MaxLifetime+store.PrekeysFor))
	})
}
