-- Invitations that we made.
CREATE TABLE invitations (
    id      BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 8), -- the notice id's first 8 bytes
    kind    INTEGER NOT NULL,   -- 1 single-use, 2 reusable
    sealed  BLOB    NOT NULL,   -- secret 16, link; AEAD, bound to id
    notice  BLOB    NOT NULL,   -- the sealed bundle as relays hold it
    created INTEGER NOT NULL,   -- unix ms
    expires INTEGER NOT NULL,   -- unix ms
    state   TEXT    NOT NULL CHECK (state IN ('open', 'used', 'revoked')),
    contact INTEGER REFERENCES contacts (id),                    -- who came by it
    noticed INTEGER NOT NULL DEFAULT 0,                          -- unix ms, when the notice was sealed
    guest   BLOB CHECK (length(guest) = 32),                     -- AccountID of the only one who may come by it; NULL: anybody
    introducer INTEGER REFERENCES contacts (id)                  -- who asked for it; NULL: nobody
) STRICT, WITHOUT ROWID;

-- The relays that hold an invitation's notice and queue.
CREATE TABLE invitation_relays (
    invitation BLOB NOT NULL REFERENCES invitations (id) ON DELETE CASCADE,
    relay      BLOB NOT NULL,   -- PeerID
    posted     INTEGER,         -- unix ms; NULL: still to be posted
    closed     INTEGER,         -- unix ms; NULL: still open there
    PRIMARY KEY (invitation, relay)
) STRICT, WITHOUT ROWID;
