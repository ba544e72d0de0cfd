-- What still has to reach a device: one row for each item and device, deleted
-- when the device acknowledged it or we gave up.
CREATE TABLE outbox (
    id       INTEGER PRIMARY KEY, -- the order of sending; see Enqueue
    message  INTEGER REFERENCES messages (id) ON UPDATE CASCADE ON DELETE CASCADE, -- NULL: not something said
    device   BLOB    NOT NULL CHECK (length(device) = 32),
    class    INTEGER NOT NULL,    -- 1 message, 2 receipt, 3 descriptors, 4 presence, 5 profile, 6 rendezvous; of 3 and 4 only the newest per device is kept
    item     BLOB,                -- content that waits to be sealed
    session  BLOB    CHECK (length(session) = 32),                    -- sealed under it; NULL: not yet
    wire     BLOB,                -- the ratchet message
    hash     BLOB    UNIQUE CHECK (length(hash) = 32),                -- SHA-256(wire), as acknowledgements name it
    flight   INTEGER NOT NULL CHECK (flight IN (0, 1)),               -- 1: goes inside a flight, sealed anew for each relay
    size     INTEGER NOT NULL,    -- bytes of wire
    created  INTEGER NOT NULL,    -- unix ms
    expires  INTEGER,             -- unix ms
    attempts INTEGER NOT NULL,
    next     INTEGER NOT NULL,    -- unix ms: not tried before
    CHECK ((wire IS NULL) = (hash IS NULL) AND (wire IS NULL) = (session IS NULL))
) STRICT;
-- Each index costs every message a page or two, when it comes and when it goes.
CREATE INDEX outbox_device ON outbox (device);
CREATE INDEX outbox_newest ON outbox (device, class) WHERE class IN (3, 4);
CREATE INDEX outbox_message ON outbox (message, expires) WHERE message IS NOT NULL;

-- The copies of an outbox row at relays.
CREATE TABLE deposits (
    outbox  INTEGER NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
    relay   BLOB    NOT NULL,   -- PeerID
    receipt BLOB,               -- signed by the relay and checked; NULL: refused
    until   INTEGER,            -- unix ms, by the receipt
    reason  TEXT,               -- problem code of the refusal
    at      INTEGER NOT NULL,   -- unix ms
    cell    BLOB,               -- of a first flight by a reusable address, to leave the same again; NULL: another
    extra   INTEGER NOT NULL DEFAULT 0 CHECK (extra IN (0, 1)), -- 1: at a friend's computer, which counts for nothing
    PRIMARY KEY (outbox, relay)
) STRICT, WITHOUT ROWID;
