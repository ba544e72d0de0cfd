-- What people do to messages, and messages that disappear.
ALTER TABLE messages ADD COLUMN silent INTEGER NOT NULL DEFAULT 0 CHECK (silent IN (0, 1));
ALTER TABLE messages ADD COLUMN reply BLOB CHECK (length(reply) = 16);
ALTER TABLE messages ADD COLUMN forwarded INTEGER NOT NULL DEFAULT 0 CHECK (forwarded IN (0, 1));
ALTER TABLE messages ADD COLUMN timer INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN vanish INTEGER;
ALTER TABLE messages ADD COLUMN edited INTEGER;
ALTER TABLE messages ADD COLUMN deleted INTEGER;
CREATE INDEX messages_silent ON messages (at) WHERE silent = 1;
CREATE INDEX messages_vanish ON messages (vanish) WHERE vanish IS NOT NULL;

ALTER TABLE conversations ADD COLUMN timer INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN timer_version INTEGER NOT NULL DEFAULT 0;

CREATE TABLE reactions (
    message INTEGER NOT NULL REFERENCES messages (id) ON UPDATE CASCADE ON DELETE CASCADE,
    account BLOB    NOT NULL CHECK (length(account) = 32),
    emoji   TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (message, account)
) STRICT, WITHOUT ROWID;

CREATE TABLE early_acts (
    act          INTEGER PRIMARY KEY REFERENCES messages (id) ON UPDATE CASCADE ON DELETE CASCADE,
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    target       BLOB    NOT NULL CHECK (length(target) = 16)
) STRICT;
CREATE INDEX early_acts_target ON early_acts (conversation, target);

CREATE TABLE untold_reads (
    message INTEGER PRIMARY KEY REFERENCES messages (id) ON UPDATE CASCADE ON DELETE CASCADE
) STRICT;
