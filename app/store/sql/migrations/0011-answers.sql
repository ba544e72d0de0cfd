-- How long the latest answers of relays of ours took, to what this device tests them by.
CREATE TABLE relay_answers (
    id      INTEGER PRIMARY KEY, -- in the order they came
    relay   BLOB    NOT NULL,    -- PeerID
    at      INTEGER NOT NULL,    -- unix ms
    took_ms INTEGER NOT NULL
) STRICT;
