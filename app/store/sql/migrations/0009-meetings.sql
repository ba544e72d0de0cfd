-- Introductions of two contacts to each other.
CREATE TABLE meetings (
    id     BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    first  INTEGER NOT NULL REFERENCES contacts (id),
    second INTEGER NOT NULL REFERENCES contacts (id),
    at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- For whom alone an invitation is, and who asked for it.
ALTER TABLE invitations ADD COLUMN guest BLOB CHECK (length(guest) = 32);
ALTER TABLE invitations ADD COLUMN introducer INTEGER REFERENCES contacts (id);
ALTER TABLE contacts ADD COLUMN introducer INTEGER REFERENCES contacts (id);
