package ratchet

import "testing"

func BenchmarkSeal(b *testing.B) {
	alice, _ := benchPair()
	b.ReportAllocs()
	for b.Loop() {
		benchSeal(alice)
	}
}

func BenchmarkOpen(b *testing.B) {
	alice, bob := benchPair()
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		wire := benchSeal(alice)
		b.StartTimer()
		benchOpen(bob, wire)
	}
}

func BenchmarkBareSeal(b *testing.B) {
	bare, wire := newBare(), make([]byte, Small)
	b.ReportAllocs()
	for b.Loop() {
		bare.seal(wire)
	}
}

func BenchmarkBareOpen(b *testing.B) {
	bare, wire := newBare(), make([]byte, Small)
	bare.seal(wire)
	b.ReportAllocs()
	for b.Loop() {
		bare.open(wire)
	}
}

func BenchmarkPingPong(b *testing.B) {
	from, to := benchPair()
	b.ReportAllocs()
	for b.Loop() {
		benchOpen(to, benchSeal(from))
		from, to = to, from
	}
}
