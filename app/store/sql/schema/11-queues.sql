-- The queues that we opened for others to write to: one for each contact device
-- and relay, and one for each invitation and relay.
CREATE TABLE own_queues (
    id           INTEGER PRIMARY KEY,
    device       BLOB    CHECK (length(device) = 32),       -- who was given it
    invitation   BLOB    REFERENCES invitations (id),
    relay        BLOB    NOT NULL,   -- PeerID
    sealed       BLOB    NOT NULL,   -- seed 32; AEAD, bound to id
    epoch0       INTEGER NOT NULL,   -- first epoch, days by the relay's clock
    n            INTEGER NOT NULL,   -- number of epochs
    opened_until INTEGER NOT NULL,   -- first epoch that is not open yet
    version      INTEGER NOT NULL,   -- of the descriptors that told it
    acknowledged INTEGER,            -- unix ms when the device acknowledged it
    closed       INTEGER,            -- unix ms
    leaving      INTEGER,            -- unix ms when the device acknowledged descriptors without it
    prolonged    INTEGER,            -- unix ms until when its catch-all was prolonged
    CHECK ((device IS NULL) <> (invitation IS NULL))
) STRICT;
CREATE INDEX own_queues_device ON own_queues (device) WHERE device IS NOT NULL;
CREATE INDEX own_queues_invitation ON own_queues (invitation) WHERE invitation IS NOT NULL;
CREATE INDEX own_queues_relay ON own_queues (relay);

-- Which queue a cell was left in.
CREATE TABLE queue_ids (
    qid   BLOB    NOT NULL PRIMARY KEY CHECK (length(qid) = 32),
    queue INTEGER NOT NULL REFERENCES own_queues (id) ON DELETE CASCADE,
    epoch INTEGER NOT NULL           -- 2^32-1: the catch-all
) STRICT, WITHOUT ROWID;
CREATE INDEX queue_ids_queue ON queue_ids (queue, epoch);

-- The queues that we may write to, by the newest descriptors of each device.
CREATE TABLE their_queues (
    device  BLOB    NOT NULL CHECK (length(device) = 32),
    relay   BLOB    NOT NULL,   -- PeerID
    addrs   BLOB    NOT NULL,   -- multiaddrs, see list.go
    sealed  BLOB    NOT NULL,   -- seed 32; AEAD, bound to device and relay
    epoch0  INTEGER NOT NULL,
    n       INTEGER NOT NULL,
    expires INTEGER NOT NULL,   -- unix ms
    version INTEGER NOT NULL,
    extra   INTEGER NOT NULL DEFAULT 0 CHECK (extra IN (0, 1)), -- 1: at a friend's computer, which counts for nothing
    PRIMARY KEY (device, relay)
) STRICT, WITHOUT ROWID;
