package content

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// Context says more about an item of the same payload, whatever its kind: what it
// answers, that it is somebody else's words, how long it may be seen. It stands before
// that item. A version that does not know a field, or contexts at all, still has the
// item itself.
//
//	body: id of the item 16 | fields, by rising tag: tag 1 | length 1 | value
//	  1 reply      id of the message that is answered 16
//	  2 forwarded  nothing
//	  3 timer      seconds 4, from 1 to MaxTimer
type Context struct {
	Of        ID
	Reply     *ID // nil: no answer
	Forwarded bool
	Timer     time.Duration // whole seconds from reading until it disappears; 0: it stays
	Later     []Field       // of later versions, by rising tag
}

// Field is something about an item that this version does not know.
type Field struct {
	Tag   byte
	Value []byte
}

// Tags of a Context.
const (
	tagReply     = 1
	tagForwarded = 2
	tagTimer     = 3
	lastTag      = tagTimer
)

// Marshal encodes the context.
func (c Context) Marshal() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddBytes(c.Of[:])
	field := func(tag byte, value []byte) {
		b.AddUint8(tag)
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(value) })
	}
	if c.Reply != nil {
		field(tagReply, c.Reply[:])
	}
	if c.Forwarded {
		field(tagForwarded, nil)
	}
	if c.Timer != 0 {
		seconds, err := marshalTimer(c.Timer)
		if err != nil || c.Timer < time.Second {
			return nil, fmt.Errorf("%w: timer %s of an item", ErrMalformed, c.Timer)
		}
		field(tagTimer, seconds)
	}
	last := byte(lastTag)
	for _, f := range c.Later {
		if f.Tag <= last || len(f.Value) > 255 {
			return nil, fmt.Errorf("%w: field %d of a context", ErrMalformed, f.Tag)
		}
		last = f.Tag
		field(f.Tag, f.Value)
	}
	return b.Bytes()
}

// ParseContext reads a body of KindContext.
func ParseContext(body []byte) (c Context, err error) {
	s := cryptobyte.String(body)
	if !s.CopyBytes(c.Of[:]) {
		return c, fmt.Errorf("%w: context", ErrMalformed)
	}
	for last := byte(0); !s.Empty(); {
		var tag uint8
		var value cryptobyte.String
		if !s.ReadUint8(&tag) || !s.ReadUint8LengthPrefixed(&value) || tag <= last {
			return c, fmt.Errorf("%w: fields of a context", ErrMalformed)
		}
		last = tag
		good := true
		switch tag {
		case tagReply:
			c.Reply = new(ID)
			good = value.CopyBytes(c.Reply[:]) && value.Empty()
		case tagForwarded:
			c.Forwarded, good = true, value.Empty()
		case tagTimer:
			c.Timer, err = readTimer(&value)
			good = err == nil && c.Timer != 0 && value.Empty()
		default:
			c.Later = append(c.Later, Field{tag, slices.Clone([]byte(value))})
		}
		if !good {
			return c, fmt.Errorf("%w: field %d of a context", ErrMalformed, tag)
		}
	}
	return c, nil
}
