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
