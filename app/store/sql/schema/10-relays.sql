-- The relays where this account keeps a box.
CREATE TABLE relays (
    peer        BLOB    NOT NULL PRIMARY KEY,
    addrs       BLOB    NOT NULL,   -- multiaddrs, see list.go
    source      TEXT    NOT NULL CHECK (source IN ('hand', 'flag', 'invitation')),
    sealed      BLOB    NOT NULL,   -- seed of the box key 32; AEAD, bound to peer
    lease       BLOB,               -- as the relay gave it
    lease_until INTEGER,            -- unix ms
    added       INTEGER NOT NULL,   -- unix ms
    removed     INTEGER,            -- unix ms; its box is drained afterwards
    routes      BLOB                -- circuit multiaddrs through other relays, as contacts were told, see list.go; NULL: none
) STRICT, WITHOUT ROWID;
