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
    silent       INTEGER NOT NULL DEFAULT 0 CHECK (silent IN (0, 1)),  -- 1: no line of the conversation (any more): it acts upon another message, or was removed here. Without a body once that is done; forgotten after 45 days, when no copy can come any more
    reply        BLOB CHECK (length(reply) = 16),                      -- the message that is answered; it need not be here
    forwarded    INTEGER NOT NULL DEFAULT 0 CHECK (forwarded IN (0, 1)),
    timer        INTEGER NOT NULL DEFAULT 0, -- seconds from reading (ours: from leaving this device) until it disappears; 0: it stays
    vanish       INTEGER,             -- unix ms, when it disappears; NULL: the time does not run
    edited       INTEGER,             -- unix ms by the author's clock, of the newest edit; NULL: never
    deleted      INTEGER,             -- unix ms by ours; then the body is empty
    CHECK (mine = (state <> 'received'))
) STRICT;
CREATE INDEX messages_conversation ON messages (conversation, id);
CREATE INDEX messages_hidden ON messages (conversation, author, seq) WHERE shown = 0;
CREATE INDEX messages_starred ON messages (id) WHERE starred IS NOT NULL;
CREATE INDEX messages_pinned ON messages (conversation, id) WHERE pinned IS NOT NULL;
CREATE INDEX messages_silent ON messages (at) WHERE silent = 1;
CREATE INDEX messages_vanish ON messages (vanish) WHERE vanish IS NOT NULL;

-- What each person reacted to a message with: one of each.
CREATE TABLE reactions (
    message INTEGER NOT NULL REFERENCES messages (id) ON UPDATE CASCADE ON DELETE CASCADE,
    account BLOB    NOT NULL CHECK (length(account) = 32),             -- whose; AccountID
    emoji   TEXT    NOT NULL,         -- empty: it was taken back, which an older one that comes late must not undo
    at      INTEGER NOT NULL,         -- unix ms by their clock
    PRIMARY KEY (message, account)
) STRICT, WITHOUT ROWID;

-- Messages that act upon one which is not here yet. At most 1,000 of a conversation.
CREATE TABLE early_acts (
    act          INTEGER PRIMARY KEY REFERENCES messages (id) ON UPDATE CASCADE ON DELETE CASCADE,
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    target       BLOB    NOT NULL CHECK (length(target) = 16)          -- id of the other message
) STRICT;
CREATE INDEX early_acts_target ON early_acts (conversation, target);

-- Messages that the person has read, of which their authors are to be told.
CREATE TABLE untold_reads (
    message INTEGER PRIMARY KEY REFERENCES messages (id) ON UPDATE CASCADE ON DELETE CASCADE
) STRICT;
