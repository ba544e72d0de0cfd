package store

// child is what the processes do that tests start.
func child(task string) { _ = task }
