-- People, and those of kind self, who live on this computer alone: the person's own notes, and Echo. A row stays when a
-- contact is removed, so that its history keeps an author.
CREATE TABLE contacts (
    id          INTEGER PRIMARY KEY,
    account     BLOB    NOT NULL UNIQUE CHECK (length(account) = 32), -- AccountID
    root        BLOB    CHECK (length(root) = 32),   -- ROOT, public half; NULL until their manifests were seen
    chain       BLOB,                                -- their newest manifests, as identity.Chain encodes them
    pin_n       INTEGER NOT NULL,                    -- highest manifest number seen (unsigned 64 bit, stored as signed)
    pin_head    BLOB    NOT NULL CHECK (length(pin_head) = 32), -- hash of that manifest; zeros if none
    pin_suite   INTEGER NOT NULL,                    -- lowest suite accepted; only rises
    frozen      INTEGER NOT NULL CHECK (frozen IN (0, 1)),      -- 1: two different manifests of one number were seen
    name        TEXT    NOT NULL,                    -- what they call themselves: never markup, never a key to find them by
    petname     TEXT,                                -- what we call them
    petname_key TEXT    UNIQUE,                      -- petname, NFKC and case-folded, so that no two look the same to a script
    kind        TEXT    NOT NULL CHECK (kind IN ('new', 'contact', 'request', 'self')),
    blocked     INTEGER,                             -- unix ms, since when; NULL: not
    removed     INTEGER,                             -- unix ms
    verified    INTEGER,                             -- unix ms, when the safety number was compared
    created     INTEGER NOT NULL,                    -- unix ms
    introducer  INTEGER REFERENCES contacts (id),    -- who introduced them; NULL: nobody
    CHECK ((petname IS NULL) = (petname_key IS NULL))
) STRICT;

-- The devices that a contact's manifests list.
CREATE TABLE devices (
    device    BLOB    NOT NULL PRIMARY KEY CHECK (length(device) = 32),   -- DSK
    contact   INTEGER NOT NULL REFERENCES contacts (id),
    agreement BLOB    NOT NULL CHECK (length(agreement) = 32),            -- DIK
    revoked   INTEGER                                                     -- unix ms; NULL: in use
) STRICT, WITHOUT ROWID;
CREATE INDEX devices_contact ON devices (contact);

-- Where a contact's device was last known to listen. Told inside messages only.
CREATE TABLE addresses (
    device BLOB    NOT NULL PRIMARY KEY REFERENCES devices (device) ON DELETE CASCADE,
    peer   BLOB    NOT NULL,  -- libp2p PeerID, fresh on each of its starts
    addrs  BLOB    NOT NULL,  -- multiaddrs, see list.go
    told   INTEGER NOT NULL,  -- unix ms by the sender's clock; the newest wins
    seen   INTEGER NOT NULL   -- unix ms by ours
) STRICT, WITHOUT ROWID;
