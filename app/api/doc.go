// Package api is the local API of Godwit: one typed value for each command, a
// server, and a client that is used like the app itself. It is HTTP and JSON
// over a unix socket or named pipe that only the owner can open; SPEC.md beside
// this file is its description for other programs.
//
// The command line, the desktop and bots use the same values: commands.go.
package api
