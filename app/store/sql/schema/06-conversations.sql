-- One with each contact. Row ids of messages are never given twice, so that what was read stays read.
CREATE TABLE conversations (
    id           INTEGER PRIMARY KEY,
    conversation BLOB    NOT NULL UNIQUE CHECK (length(conversation) = 32), -- the id that both sides know
    contact      INTEGER NOT NULL UNIQUE REFERENCES contacts (id),
    send_seq     INTEGER NOT NULL,                                  -- number of the next message of ours
    send_prev    BLOB    NOT NULL CHECK (length(send_prev) = 32),   -- hash of the last one; zeros at first
    read_to      INTEGER NOT NULL DEFAULT 0,                        -- messages up to this row id were read
    active       INTEGER,                                           -- unix ms when something was last shown in it; NULL: never
    pinned       INTEGER,                                           -- unix ms, since when it is on top; NULL: it is not
    archived     INTEGER,                                           -- unix ms, since when it is put away; NULL: it is not
    muted_until  INTEGER,                                           -- unix ms; NULL: not muted
    draft        TEXT,                                              -- what was written and not sent
    timer        INTEGER NOT NULL DEFAULT 0,                        -- seconds after which new messages disappear; 0: they stay
    timer_version INTEGER NOT NULL DEFAULT 0                        -- unix ms; of two timers the later holds
) STRICT;

-- What is expected next from each device of the other side.
CREATE TABLE streams (
    device       BLOB    NOT NULL CHECK (length(device) = 32),
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    next_seq     INTEGER NOT NULL,
    prev         BLOB    NOT NULL CHECK (length(prev) = 32),        -- hash of the last one in order; zeros at first
    PRIMARY KEY (device, conversation)
) STRICT, WITHOUT ROWID;
