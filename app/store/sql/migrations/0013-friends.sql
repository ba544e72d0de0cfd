-- Contacts' computers that keep mail for us, and ours for them: see sql/schema/10-relays.sql and 17-friends.sql.
CREATE TABLE relays_before AS SELECT * FROM relays;
DROP TABLE relays;
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
INSERT INTO relays SELECT peer, addrs, source, sealed, lease, lease_until, added, removed, routes, NULL FROM relays_before;
DROP TABLE relays_before;
ALTER TABLE their_queues ADD COLUMN extra INTEGER NOT NULL DEFAULT 0 CHECK (extra IN (0, 1));
ALTER TABLE deposits ADD COLUMN extra INTEGER NOT NULL DEFAULT 0 CHECK (extra IN (0, 1));
CREATE TABLE friend_offers (
    device BLOB    NOT NULL PRIMARY KEY CHECK (length(device) = 32), -- whose computer it is
    relay  BLOB    NOT NULL,   -- PeerID
    addrs  BLOB    NOT NULL,   -- multiaddrs, see list.go
    sealed BLOB    NOT NULL,   -- token 32; AEAD, bound to device
    told   INTEGER NOT NULL,   -- unix ms by its clock; the newest holds
    until  INTEGER,            -- unix ms: it takes nothing more, and gives out what it keeps until then; NULL: it keeps mail
    unused INTEGER             -- unix ms: not used before, as it was given up here or could not be reached; NULL: it may be
) STRICT, WITHOUT ROWID;
CREATE TABLE friends_told (
    device BLOB    NOT NULL PRIMARY KEY CHECK (length(device) = 32),
    what   BLOB    NOT NULL CHECK (length(what) = 32), -- SHA-256 of what it was told
    told   INTEGER NOT NULL    -- unix ms
) STRICT, WITHOUT ROWID;
