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
