// Package soak runs the real program under faults: people with a node each and
// relays, all processes of their own on loopback, which a schedule made from a seed
// has write to each other while it kills, cuts off, freezes and starves them. It is
// made of tests only:
//
//	go test ./cmd/godwit/soak                   three minutes, another seed each time
//	make soak SOAK=2h SEED=42                   any length, a seed of your choice
//
// What each person did and saw goes, with its time, into a transcript, one object of
// JSON a line; package witness judges it and knows nothing else. A run that fails
// prints its seed and keeps the transcript and the logs.
//
//	schedule_test.go   what happens when: all of it follows from the seed
//	world_test.go      the processes, and how a person uses them
//	faults_test.go     the faults
//	network_test.go    a proxy between all processes: partitions, lost answers
//	weather_test.go    clocks that jump and disks that are slow
//	liar_test.go       a relay that lies, in a process of its own
//	reasons_test.go    each reason for which a message waits or fails, brought about and read
//	strangers_test.go  a stranger, in the first storm
//	soak_test.go       storms, calms, and the verdict
//
// Two of the people have private routing on, and a stranger writes to one of them by her reusable
// address in the first storm.
//
// What it does not do: cut QUIC, as the proxy carries TCP only and everybody listens on
// nothing else here; lose what the system's cache holds, as killed processes do not; and
// jump by more than a day, as what is shown after a day's gap would have to be judged.
package soak
