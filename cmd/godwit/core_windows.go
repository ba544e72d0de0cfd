package main

// noCore does nothing: Windows writes no memory into files unless its owner has
// told it to.
func noCore() {}

// privately does nothing: what is made in a user's directories on Windows is theirs.
func privately() {}
