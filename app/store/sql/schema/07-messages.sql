-- Everything said. The row id gives the order in which messages are shown: it
-- is the order of arrival, and a message that waited for its predecessor gets
-- a new one when it is shown.
CREATE TABLE messages (
    id           INTEGER PRIMARY KEY,
    message      BLOB    NOT NULL UNIQUE CHECK (length(message) = 16), -- its id at both sides
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    author       BLOB    NOT NULL CHECK (length(author) = 32),         -- DSK
    mine         INTEGER NOT NULL CHECK (mine IN (0, 1)),
    seq          INTEGER NOT NULL,    -- of the author's device in this conversation
    prev         BLOB    NOT NULL CHECK (length(prev) = 32),           -- hash of the author's message before
    sent         INTEGER NOT NULL,    -- unix ms by the author's clock
    at           INTEGER NOT NULL,    -- unix ms by ours
    kind         INTEGER NOT NULL,    -- see content; unknown kinds are kept
    body         BLOB    NOT NULL,    -- as content encodes it
    state        TEXT    NOT NULL CHECK (state IN ('queued', 'kept', 'delivered', 'read', 'failed', 'received')),
    reason       TEXT,                -- problem code
    expires      INTEGER,             -- unix ms; when we give up
    shown        INTEGER NOT NULL CHECK (shown IN (0, 1)),             -- 0: waits for its predecessor
    show_by      INTEGER,             -- unix ms; shown then even so
    starred      INTEGER,             -- unix ms, since when; NULL: not
    pinned       INTEGER,             -- unix ms, since when it stands above its conversation; NULL: not
    CHECK (mine = (state <> 'received'))
) STRICT;
CREATE INDEX messages_conversation ON messages (conversation, id);
CREATE INDEX messages_hidden ON messages (conversation, author, seq) WHERE shown = 0;
CREATE INDEX messages_starred ON messages (id) WHERE starred IS NOT NULL;
CREATE INDEX messages_pinned ON messages (conversation, id) WHERE pinned IS NOT NULL;
