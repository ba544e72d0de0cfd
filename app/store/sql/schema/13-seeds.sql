-- Seeds of the rendezvous records (p2p/rendezvous) by which a contact's device finds
-- this one: one that the device acknowledged, and one that it may not have yet.
CREATE TABLE own_seeds (
    id     INTEGER PRIMARY KEY,
    device BLOB    NOT NULL CHECK (length(device) = 32),  -- who was given it
    sealed BLOB    NOT NULL,  -- seed 32; AEAD, bound to id
    made   INTEGER NOT NULL,  -- unix ms
    told   INTEGER            -- unix ms, when the device acknowledged it; NULL: not yet
) STRICT;
CREATE INDEX own_seeds_device ON own_seeds (device);

-- The seeds by which we find the devices of contacts, the newest of each.
CREATE TABLE their_seeds (
    device BLOB    NOT NULL PRIMARY KEY CHECK (length(device) = 32),
    sealed BLOB    NOT NULL,  -- seed 32; AEAD, bound to device
    made   INTEGER NOT NULL,  -- unix ms by the other side's clock; the newest wins
    seq    INTEGER            -- unix ms, the highest of the records that were opened; NULL: none was
) STRICT, WITHOUT ROWID;
