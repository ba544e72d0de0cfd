//go:build !race

package dht

// largeWorld is how many servers the largest simulated DHT has: so many that the region of a
// key is a part of it.
const largeWorld = 90
