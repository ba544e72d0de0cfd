package dht

import (
	"context"
	"crypto/rand"
)

// Try looks for what nobody has, as a search does, and tells how many servers answered.
// It takes LookupTimeout at most. The error wraps ErrNoPeers, or is the context's.
func (d *DHT) Try(ctx context.Context) (answered int, err error) {
	list, _, err := d.lookUp(ctx, rand.Text())
	return len(list), err
}
