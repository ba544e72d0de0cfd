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
    via     BLOB,               -- PeerID of the relay through which a deposit went; NULL: straight
    PRIMARY KEY (message, step)
) STRICT, WITHOUT ROWID;
