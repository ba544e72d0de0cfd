-- What contacts' devices last told of their computers keeping mail for us.
CREATE TABLE friend_offers (
    device BLOB    NOT NULL PRIMARY KEY CHECK (length(device) = 32), -- whose computer it is
    relay  BLOB    NOT NULL,   -- PeerID
    addrs  BLOB    NOT NULL,   -- multiaddrs, see list.go
    sealed BLOB    NOT NULL,   -- token 32; AEAD, bound to device
    told   INTEGER NOT NULL,   -- unix ms by its clock; the newest holds
    until  INTEGER,            -- unix ms: it takes nothing more, and gives out what it keeps until then; NULL: it keeps mail
    unused INTEGER             -- unix ms: not used before, as it was given up here or could not be reached; NULL: it may be
) STRICT, WITHOUT ROWID;

-- What contacts' devices were last told of this computer keeping mail for them.
CREATE TABLE friends_told (
    device BLOB    NOT NULL PRIMARY KEY CHECK (length(device) = 32),
    what   BLOB    NOT NULL CHECK (length(what) = 32), -- SHA-256 of what it was told
    told   INTEGER NOT NULL    -- unix ms
) STRICT, WITHOUT ROWID;
