package timeline

import "context"

// Source has the messages of one conversation. Its methods are called on goroutines of
// their own, one at a time for older, newer and jumps each.
type Source interface {
	// Page returns messages, oldest first.
	Page(context.Context, Request) (Page, error)
}

// Request asks for messages: the newest, unless it says otherwise.
type Request struct {
	Before string // those just before this one
	After  string // those just after this one
	Around string // this one and those on both sides of it
	Oldest bool   // from the very beginning
	Limit  int    // the most to return
}

// Page is some messages, and whether there are others beyond its ends.
type Page struct {
	Messages     []Message
	Older, Newer bool
}

// Sizes of what is loaded, in messages.
const (
	pageSize  = 80
	firstPage = 80  // what a high window needs, and loadAhead on either side of it
	loadAhead = 25  // rows beyond the window, from which on more is asked for
	keep      = 600 // messages kept; those farthest away are let go
)
