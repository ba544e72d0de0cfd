// Package chats is the list of conversations and the pane of the one that is open.
// What is shown follows from values by pure functions (rows.go, messages.go, states.go);
// the widgets only show it, and call back for what a person does.
package chats
