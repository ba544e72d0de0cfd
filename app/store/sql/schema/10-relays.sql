-- The relays where this account keeps a box.
CREATE TABLE relays (
    peer        BLOB    NOT NULL PRIMARY KEY,
    addrs       BLOB    NOT NULL,   -- multiaddrs, see list.go
    source      TEXT    NOT NULL CHECK (source IN ('hand', 'flag', 'invitation', 'dht', 'friend')),
    sealed      BLOB    NOT NULL,   -- seed of the box key 32; AEAD, bound to peer
    lease       BLOB,               -- as the relay gave it
    lease_until INTEGER,            -- unix ms
    added       INTEGER NOT NULL,   -- unix ms
    removed     INTEGER,            -- unix ms; its box is drained afterwards
    routes      BLOB,               -- circuit multiaddrs through other relays, as contacts were told, see list.go; NULL: none
    friend      BLOB    CHECK (length(friend) = 32), -- device of the contact whose computer it is
    CHECK ((source = 'friend') = (friend IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- What this device knows of a relay of its own by trying it.
CREATE TABLE relay_tests (
    relay   BLOB    NOT NULL PRIMARY KEY, -- PeerID
    down_ms INTEGER NOT NULL,   -- for how long it did not serve while we were online, since it last did
    cell    BLOB    CHECK (length(cell) = 16), -- id of a cell of ours that lies there; NULL: none
    laid    INTEGER,            -- unix ms
    until   INTEGER,            -- unix ms, by its receipt; NULL: there is no receipt
    proof   BLOB,               -- the receipt and what it is for
    last    BLOB    CHECK (length(last) = 16)  -- id of the cell before it, which was deleted
) STRICT, WITHOUT ROWID;

-- What relays of ours did that they had promised not to.
CREATE TABLE relay_faults (
    id    INTEGER PRIMARY KEY,
    relay BLOB    NOT NULL,     -- PeerID
    at    INTEGER NOT NULL,     -- unix ms
    what  TEXT    NOT NULL,     -- problem code
    proof BLOB                  -- what it had signed, as in relay_tests
) STRICT;

-- Relays that could be used. At most 64.
CREATE TABLE relay_candidates (
    peer     BLOB    NOT NULL PRIMARY KEY,
    addrs    BLOB    NOT NULL,  -- multiaddrs, see list.go
    source   TEXT    NOT NULL CHECK (source IN ('hand', 'invitation', 'dht')),
    operator BLOB    NOT NULL,  -- who is taken to run it: those named by one invitation share it; empty: unknown
    seen     INTEGER NOT NULL,  -- unix ms, first
    heard    INTEGER NOT NULL,  -- unix ms, last
    failed   INTEGER NOT NULL,  -- how often it was tried in vain
    retry    INTEGER NOT NULL   -- unix ms: not used before
) STRICT, WITHOUT ROWID;

-- How long the latest answers of relays of ours took, to what this device tests them by.
CREATE TABLE relay_answers (
    id      INTEGER PRIMARY KEY, -- in the order they came
    relay   BLOB    NOT NULL,    -- PeerID
    at      INTEGER NOT NULL,    -- unix ms
    took_ms INTEGER NOT NULL
) STRICT;
