-- Introductions of two contacts to each other that wait for the first of them to agree. For 60 days.
CREATE TABLE meetings (
    id     BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16), -- the same in all steps
    first  INTEGER NOT NULL REFERENCES contacts (id),            -- who was asked
    second INTEGER NOT NULL REFERENCES contacts (id),            -- who is told then
    at     INTEGER NOT NULL                                      -- unix ms
) STRICT, WITHOUT ROWID;
