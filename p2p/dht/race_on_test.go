//go:build race

package dht

// largeWorld is how many servers the largest simulated DHT has, under the race detector.
const largeWorld = 40
