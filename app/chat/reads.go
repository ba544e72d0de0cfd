package chat

import (
	"context"

	"github.com/godwit-im/godwit/app/content"
	"github.com/godwit-im/godwit/app/store"
	"github.com/godwit-im/godwit/p2p/node"
)

// That a message was read is told to its author if the person shares it, at once in
// loopback mode and else within a minute, together with what else was read in that time
// (network.md, "Receipts in time"). Who does not share it is not told it by others
// either: takeRead.

// Shared is what contacts are told of what the person does.
type Shared struct {
	ReadReceipts bool // that their messages were read
	Typing       bool // that the person is writing to them
}

// Share changes what is shared, from now on. What is not shared is not learned of others
// either.
func (c *Chat) Share(s Shared) {
	c.readReceipts.Store(s.ReadReceipts)
	c.typing.Store(s.Typing)
}

// readPage is how many messages are marked as read at once.
const readPage = 500

// haveRead notes what follows from that a conversation was read up to a row.
func (c *Chat) haveRead(t *turn, who store.Contact, conv store.Conversation, upTo int64) error {
	shares := c.readReceipts.Load() && served(who) && !isLocal(who)
	for {
		list, err := t.Unread(conv.ID, upTo, readPage)
		if err != nil {
			return err
		}
		for _, m := range list {
			if err := c.countDown(t, who, m); err != nil {
				return err
			}
			if !shares || content.Kind(m.Kind).Local() {
				continue
			}
			if err := t.NoteRead(m.ID); err != nil {
				return err
			}
		}
		if len(list) < readPage {
			break
		}
		if _, err := t.MarkRead(conv.ID, list[len(list)-1].ID); err != nil {
			return err
		}
	}
	if shares && c.node.Mode() == node.Loopback {
		return c.tellReadsIn(t)
	}
	return nil
}

// tellReads tells the authors of what was read that it was.
func (c *Chat) tellReads(ctx context.Context) error {
	waiting := false
	err := c.store.View(ctx, func(tx *store.Tx) error {
		list, err := tx.UntoldReads()
		waiting = len(list) > 0
		return err
	})
	if err != nil || !waiting {
		return err
	}
	return c.update(ctx, c.tellReadsIn)
}

func (c *Chat) tellReadsIn(t *turn) error {
	if !c.readReceipts.Load() { // not any more
		return t.ForgetReads()
	}
	list, err := t.UntoldReads()
	if err != nil {
		return err
	}
	for len(list) > 0 {
		n := 1
		for n < len(list) && n < content.MaxReceipts && list[n].Conversation == list[0].Conversation {
			n++
		}
		if err := c.tellRead(t, list[:n]); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// tellRead tells the author of some messages of one conversation.
func (c *Chat) tellRead(t *turn, list []store.Message) error {
	var read content.Read
	for _, m := range list {
		read.IDs = append(read.IDs, content.ID(m.Message))
		if err := t.ToldRead(m.ID); err != nil {
			return err
		}
	}
	who, err := correspondent(t.Tx, list[0].Conversation)
	if err != nil || !served(who) {
		return err
	}
	devices, err := t.Devices(who.ID)
	if err != nil {
		return err
	}
	body, err := read.Marshal()
	item, err := loose(t.now, content.KindRead, 0, body, err)
	if err != nil {
		return err
	}
	for _, d := range devices {
		if !d.Revoked.IsZero() {
			continue
		}
		if err := c.queue(t, d.Device, store.ClassReceipt, 0, item); err != nil {
			return err
		}
	}
	return nil
}
