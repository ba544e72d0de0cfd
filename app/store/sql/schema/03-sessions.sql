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
