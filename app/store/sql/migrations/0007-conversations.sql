-- What a person does with conversations: reads them, puts them away, keeps them at hand.
ALTER TABLE conversations ADD COLUMN read_to INTEGER NOT NULL DEFAULT 0; -- messages up to this row id were read
ALTER TABLE conversations ADD COLUMN active INTEGER; -- unix ms when something was last shown in it; NULL: never
ALTER TABLE conversations ADD COLUMN pinned INTEGER; -- unix ms, since when it is on top; NULL: it is not
ALTER TABLE conversations ADD COLUMN archived INTEGER; -- unix ms, since when it is put away; NULL: it is not
ALTER TABLE conversations ADD COLUMN muted_until INTEGER; -- unix ms; NULL: not muted
ALTER TABLE conversations ADD COLUMN draft TEXT; -- what was written and not sent
-- What is here already was there to be read.
UPDATE conversations SET read_to = coalesce((SELECT max(id) FROM messages WHERE conversation = conversations.id), 0),
    active = (SELECT at FROM messages WHERE conversation = conversations.id AND shown = 1 ORDER BY id DESC LIMIT 1);

-- Messages that are kept at hand.
ALTER TABLE messages ADD COLUMN starred INTEGER; -- unix ms, since when; NULL: not
ALTER TABLE messages ADD COLUMN pinned INTEGER; -- unix ms, since when it stands above its conversation; NULL: not
CREATE INDEX messages_starred ON messages (id) WHERE starred IS NOT NULL;
CREATE INDEX messages_pinned ON messages (conversation, id) WHERE pinned IS NOT NULL;
