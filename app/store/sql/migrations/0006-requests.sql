-- When the notice of an invitation was sealed: that of a reusable one is renewed, and relays that have an older one are given it.
ALTER TABLE invitations ADD COLUMN noticed INTEGER NOT NULL DEFAULT 0;

-- The cell of a first flight by a reusable address, so that to leave it again is to leave the same.
ALTER TABLE deposits ADD COLUMN cell BLOB;

-- Strangers who wrote by a reusable address: those who wait for a decision, and those
-- who were ignored, so that they are not asked about again for a while.
CREATE TABLE requests (
    id         INTEGER PRIMARY KEY,
    account    BLOB    NOT NULL UNIQUE CHECK (length(account) = 32),    -- AccountID
    state      TEXT    NOT NULL CHECK (state IN ('waiting', 'ignored')),
    name       TEXT    NOT NULL,    -- what they call themselves; may be empty
    text       TEXT    NOT NULL,    -- what they said first; may be empty
    invitation BLOB    NOT NULL CHECK (length(invitation) = 8),         -- the address that they used; it may be forgotten
    work       INTEGER NOT NULL,    -- bits of the strongest proof of work that brought something; 0: came direct
    at         INTEGER NOT NULL,    -- unix ms, when the first of it came
    expires    INTEGER NOT NULL     -- unix ms; forgotten then
) STRICT;

-- What they sent, as it came, until it can begin a session.
CREATE TABLE request_flights (
    id      INTEGER PRIMARY KEY, -- in the order of arrival
    request INTEGER NOT NULL REFERENCES requests (id) ON DELETE CASCADE,
    hash    BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32), -- SHA-256(ratchet message)
    bundle  BLOB    NOT NULL REFERENCES bundles (id),          -- whose prekeys open it
    relay   BLOB,                -- PeerID of the relay it came by; NULL: direct
    cell    BLOB    NOT NULL     -- the first flight, sealed to the bundle's introduction key
) STRICT;
CREATE INDEX request_flights_request ON request_flights (request);
CREATE INDEX request_flights_bundle ON request_flights (bundle);
