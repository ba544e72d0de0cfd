-- The first schema.
-- The account that this profile holds: at most one row.
CREATE TABLE account (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    account BLOB    NOT NULL CHECK (length(account) = 32), -- AccountID
    root    BLOB    NOT NULL CHECK (length(root) = 32),    -- ROOT, public half
    chain   BLOB    NOT NULL,                              -- own manifests, as identity.Chain encodes them
    device  BLOB    NOT NULL CHECK (length(device) = 32),  -- DSK of this device, public half
    name    TEXT    NOT NULL,                              -- what the person calls themselves; may be empty
    created INTEGER NOT NULL                               -- unix ms
) STRICT;

-- Small values that have no table of their own. Keys are named where they are used.
CREATE TABLE settings (
    key   TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
-- People. A row stays when a contact is removed, so that its history keeps an author.
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
-- Ratchet sessions, one or more with each device of a contact.
CREATE TABLE sessions (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 32), -- SHA-256(EK, ct), see pqxdh
    device     BLOB    NOT NULL CHECK (length(device) = 32),         -- the other side's DSK
    initiator  INTEGER NOT NULL CHECK (initiator IN (0, 1)),         -- 1: we began it
    generation INTEGER NOT NULL,    -- above that of any session that its initiator knew; the highest is preferred
    transcript BLOB    NOT NULL CHECK (length(transcript) = 64),     -- T; of two with one generation the smaller is preferred
    offer      BLOB,                -- what our flights repeat until the first reply; NULL afterwards and as responder
    intro      BLOB,                -- where and how those flights go; opaque here
    sealed     BLOB    NOT NULL,    -- AUTH 32, ratchet state; AEAD, bound to id
    version    INTEGER NOT NULL,    -- counts saves: a save on top of another version is refused
    flights    INTEGER NOT NULL,    -- flights sent so far, at most 16
    confirmed  INTEGER,             -- unix ms of the first message opened on it
    preferred  INTEGER NOT NULL CHECK (preferred IN (0, 1)),         -- 1: we send on it
    created    INTEGER NOT NULL,    -- unix ms
    used       INTEGER NOT NULL,    -- unix ms of the last seal or open
    retired    INTEGER,             -- unix ms since when it is not preferred; erased 30 days later
    CHECK (preferred = (retired IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_device ON sessions (device);
CREATE UNIQUE INDEX sessions_preferred ON sessions (device) WHERE preferred = 1;
-- Private halves of what our bundles offer: SPK, KEM seed, IPK. Renewed each 7 days.
CREATE TABLE prekey_sets (
    id          INTEGER PRIMARY KEY,
    sealed      BLOB    NOT NULL,   -- encoded by the owner; AEAD, bound to id
    created     INTEGER NOT NULL,   -- unix ms
    erase_after INTEGER             -- unix ms: expiry of the last bundle that named it + 32 days; NULL: in use
) STRICT;

-- Bundles that we gave out, and what became of their one-time keys.
CREATE TABLE bundles (
    id          BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 32), -- SHA-512(bundle)[:32]
    prekey_set  INTEGER NOT NULL REFERENCES prekey_sets (id),
    sealed      BLOB,               -- one-time key, private half; AEAD, bound to id; NULL: none, or erased once used
    raw         BLOB    NOT NULL,   -- the bundle as it was signed
    invitation  BLOB    REFERENCES invitations (id),
    expires     INTEGER NOT NULL,   -- unix ms; the row lives 32 days longer, to refuse replays
    consumed_by BLOB    CHECK (length(consumed_by) = 32)              -- session that used the one-time key
) STRICT, WITHOUT ROWID;
CREATE INDEX bundles_prekey_set ON bundles (prekey_set);
CREATE INDEX bundles_invitation ON bundles (invitation);
-- Invitations that we made.
CREATE TABLE invitations (
    id      BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 8), -- the notice id's first 8 bytes
    kind    INTEGER NOT NULL,   -- 1 single-use, 2 reusable
    sealed  BLOB    NOT NULL,   -- secret 16, link; AEAD, bound to id
    notice  BLOB    NOT NULL,   -- the sealed bundle as relays hold it
    created INTEGER NOT NULL,   -- unix ms
    expires INTEGER NOT NULL,   -- unix ms
    state   TEXT    NOT NULL CHECK (state IN ('open', 'used', 'revoked')),
    contact INTEGER REFERENCES contacts (id)                     -- who came by it
) STRICT, WITHOUT ROWID;

-- The relays that hold an invitation's notice and queue.
CREATE TABLE invitation_relays (
    invitation BLOB NOT NULL REFERENCES invitations (id) ON DELETE CASCADE,
    relay      BLOB NOT NULL,   -- PeerID
    posted     INTEGER,         -- unix ms; NULL: still to be posted
    closed     INTEGER,         -- unix ms; NULL: still open there
    PRIMARY KEY (invitation, relay)
) STRICT, WITHOUT ROWID;
-- One with each contact.
CREATE TABLE conversations (
    id           INTEGER PRIMARY KEY,
    conversation BLOB    NOT NULL UNIQUE CHECK (length(conversation) = 32), -- the id that both sides know
    contact      INTEGER NOT NULL UNIQUE REFERENCES contacts (id),
    send_seq     INTEGER NOT NULL,                                  -- number of the next message of ours
    send_prev    BLOB    NOT NULL CHECK (length(send_prev) = 32)    -- hash of the last one; zeros at first
) STRICT;

-- What is expected next from each device of the other side.
CREATE TABLE streams (
    device       BLOB    NOT NULL CHECK (length(device) = 32),
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    next_seq     INTEGER NOT NULL,
    prev         BLOB    NOT NULL CHECK (length(prev) = 32),        -- hash of the last one in order; zeros at first
    PRIMARY KEY (device, conversation)
) STRICT, WITHOUT ROWID;
-- Everything said. The row id gives the order in which messages are shown: it
-- is the order of arrival, and a message that waited for its predecessor gets
-- a new one when it is shown.
CREATE TABLE messages (
    id           INTEGER PRIMARY KEY,
    message      BLOB    NOT NULL UNIQUE CHECK (length(message) = 16), -- its id at both sides
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    author       BLOB    NOT NULL CHECK (length(author) = 32),         -- DSK
    mine         INTEGER NOT NULL CHECK (mine IN (0, 1)),
    seq          INTEGER NOT NULL,    -- of the author's device in this conversation
    prev         BLOB    NOT NULL CHECK (length(prev) = 32),           -- hash of the author's message before
    sent         INTEGER NOT NULL,    -- unix ms by the author's clock
    at           INTEGER NOT NULL,    -- unix ms by ours
    kind         INTEGER NOT NULL,    -- see content; unknown kinds are kept
    body         BLOB    NOT NULL,    -- as content encodes it
    state        TEXT    NOT NULL CHECK (state IN ('queued', 'kept', 'delivered', 'read', 'failed', 'received')),
    reason       TEXT,                -- problem code
    expires      INTEGER,             -- unix ms; when we give up
    shown        INTEGER NOT NULL CHECK (shown IN (0, 1)),             -- 0: waits for its predecessor
    show_by      INTEGER,             -- unix ms; shown then even so
    CHECK (mine = (state <> 'received'))
) STRICT;
CREATE INDEX messages_conversation ON messages (conversation, id);
CREATE INDEX messages_hidden ON messages (conversation, author, seq) WHERE shown = 0;
-- What still has to reach a device: one row for each item and device, deleted
-- when the device acknowledged it or we gave up.
CREATE TABLE outbox (
    id       INTEGER PRIMARY KEY, -- the order of sending; see Enqueue
    message  INTEGER REFERENCES messages (id) ON UPDATE CASCADE ON DELETE CASCADE, -- NULL: not something said
    device   BLOB    NOT NULL CHECK (length(device) = 32),
    class    INTEGER NOT NULL,    -- 1 message, 2 receipt, 3 descriptors, 4 presence, 5 profile; of 3 and 4 only the newest per device is kept
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
    PRIMARY KEY (outbox, relay)
) STRICT, WITHOUT ROWID;
-- The trail of each message of ours: attempts, receipts, acknowledgements, reasons. Outlives the outbox row.
CREATE TABLE evidence (
    message INTEGER NOT NULL REFERENCES messages (id) ON UPDATE CASCADE ON DELETE CASCADE,
    step    INTEGER NOT NULL,   -- 1, 2, 3... of the message
    device  BLOB    NOT NULL CHECK (length(device) = 32), -- for which of their devices
    at      INTEGER NOT NULL,   -- unix ms
    path    TEXT    NOT NULL CHECK (path IN ('direct', 'mailbox', 'flight')),
    peer    BLOB,               -- PeerID of the relay, or of the device when direct
    what    TEXT    NOT NULL CHECK (what IN ('deposit', 'ack', 'receipt', 'refused', 'retry')),
    proof   BLOB,               -- the relay's receipt, or the acknowledgement's MAC
    reason  TEXT,               -- problem code
    PRIMARY KEY (message, step)
) STRICT, WITHOUT ROWID;
-- The relays where this account keeps a box.
CREATE TABLE relays (
    peer        BLOB    NOT NULL PRIMARY KEY,
    addrs       BLOB    NOT NULL,   -- multiaddrs, see list.go
    source      TEXT    NOT NULL CHECK (source IN ('hand', 'flag', 'invitation')),
    sealed      BLOB    NOT NULL,   -- seed of the box key 32; AEAD, bound to peer
    lease       BLOB,               -- as the relay gave it
    lease_until INTEGER,            -- unix ms
    added       INTEGER NOT NULL,   -- unix ms
    removed     INTEGER             -- unix ms; its box is drained afterwards
) STRICT, WITHOUT ROWID;
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
    PRIMARY KEY (device, relay)
) STRICT, WITHOUT ROWID;
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
