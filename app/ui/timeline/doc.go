// Package timeline shows the messages of a conversation, however many: Rows turns
// messages into what stands below each other (days, the unread line, bubbles that
// join), and Timeline shows the rows near the window, of which it measures and keeps
// only those. It knows nothing of accounts or of where messages are stored: it asks a
// Source for them, page by page, and reports what people do through its Config.
//
// What somebody reads never moves by itself: older messages that arrive, a new width
// or a bubble that grows leave the anchor, which is a message and how far down it is
// shown, where it was. Only who is at the end, within 40 px, follows new messages.
package timeline
