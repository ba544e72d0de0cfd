package chat

import (
	"errors"
	"io"
	"strings"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/godwit-im/godwit/p2p/mailbox"
	"github.com/godwit-im/godwit/p2p/node"
)

// why says for people why something could not be had from a peer. What a library
// says of it, with peers and addresses, is for the log at debug level.
func why(err error) string {
	words := node.Why(err)
	switch {
	case words != "":
	case errors.Is(err, mailbox.ErrClosed), errors.Is(err, network.ErrReset), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		words = "the connection ended"
	default:
		words, _, _ = strings.Cut(strings.TrimPrefix(err.Error(), "mailbox: "), "\n")
	}
	return words
}
