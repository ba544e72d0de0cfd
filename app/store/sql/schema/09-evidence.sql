-- The trail of each message of ours: attempts, receipts, acknowledgements, reasons. Outlives the outbox row.
CREATE TABLE evidence (
    id      INTEGER PRIMARY KEY,
    message INTEGER NOT NULL REFERENCES messages (id) ON UPDATE CASCADE ON DELETE CASCADE,
    device  BLOB    NOT NULL CHECK (length(device) = 32), -- for which of their devices
    at      INTEGER NOT NULL,   -- unix ms
    path    TEXT    NOT NULL CHECK (path IN ('direct', 'mailbox', 'flight')),
    peer    BLOB,               -- PeerID of the relay, or of the device when direct
    what    TEXT    NOT NULL CHECK (what IN ('deposit', 'ack', 'receipt', 'refused', 'retry')),
    proof   BLOB,               -- the relay's receipt, or the acknowledgement's MAC
    reason  TEXT                -- problem code
) STRICT;
CREATE INDEX evidence_message ON evidence (message);
