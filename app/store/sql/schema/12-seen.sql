-- Ratchet messages that were opened, so that the copies from other relays are known for what they are.
CREATE TABLE seen (
    hash    BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32), -- SHA-256(ratchet message)
    message BLOB    CHECK (length(message) = 16),                   -- what was in it, if something said
    at      INTEGER NOT NULL,   -- unix ms
    expires INTEGER NOT NULL    -- unix ms: 45 days later
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_expires ON seen (expires);

-- Ratchet messages that could not be opened. The newest 1,000 are kept.
CREATE TABLE set_aside (
    id      INTEGER PRIMARY KEY,
    hash    BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    device  BLOB    CHECK (length(device) = 32),    -- from whom, as far as known
    session BLOB    CHECK (length(session) = 32),
    relay   BLOB,               -- PeerID; NULL: came direct
    wire    BLOB    NOT NULL,
    reason  TEXT    NOT NULL,   -- problem code
    at      INTEGER NOT NULL    -- unix ms
) STRICT;
