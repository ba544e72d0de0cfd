-- The words of messages, to search them: see sql/schema/16-search.sql.
CREATE VIRTUAL TABLE search USING fts5 (text, place, content = '', columnsize = 0, tokenize = 'ascii');
INSERT INTO search (search, rank) VALUES ('secure-delete', 1);
INSERT INTO search (search, rank) VALUES ('pgsz', 4000);
CREATE TABLE search_progress (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    version TEXT    NOT NULL,
    after   INTEGER NOT NULL
) STRICT;
INSERT INTO search_progress (one, version, after) SELECT 1, '', coalesce(max(id), 0) FROM messages;
CREATE TRIGGER search_insert AFTER INSERT ON messages
WHEN NEW.shown = 1 AND NEW.silent = 0 AND NEW.id > (SELECT after FROM search_progress) BEGIN
    INSERT INTO search (rowid, text, place) VALUES (NEW.id, words_of(NEW.kind, NEW.body), 'c' || NEW.conversation);
END;
CREATE TRIGGER search_update AFTER UPDATE OF id, conversation, kind, body, shown, silent ON messages BEGIN
    INSERT INTO search (search, rowid, text, place) SELECT 'delete', OLD.id, words_of(OLD.kind, OLD.body), 'c' || OLD.conversation
        WHERE OLD.shown = 1 AND OLD.silent = 0 AND OLD.id > (SELECT after FROM search_progress);
    INSERT INTO search (rowid, text, place) SELECT NEW.id, words_of(NEW.kind, NEW.body), 'c' || NEW.conversation
        WHERE NEW.shown = 1 AND NEW.silent = 0 AND NEW.id > (SELECT after FROM search_progress);
END;
CREATE TRIGGER search_delete AFTER DELETE ON messages
WHEN OLD.shown = 1 AND OLD.silent = 0 AND OLD.id > (SELECT after FROM search_progress) BEGIN
    INSERT INTO search (search, rowid, text, place) VALUES ('delete', OLD.id, words_of(OLD.kind, OLD.body), 'c' || OLD.conversation);
END;
