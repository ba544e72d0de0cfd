-- The words of lines, which are messages that are shown and not silent, by their row ids: as app/search takes them apart, with spaces
-- between, so that the index has only to split there. It keeps no text. Beside its words
-- each message has its place, 'c' and the row id of the conversation. Words that are deleted
-- leave the index's pages at once (secure-delete), and a page of it fits one of ours (pgsz).
CREATE VIRTUAL TABLE search USING fts5 (text, place, content = '', columnsize = 0, tokenize = 'ascii');

-- What of it there is. What is said is put into it a moment later, in one go with what was
-- said beside it. Messages that were there before the index are put into it bit by
-- bit, the newest first.
CREATE TABLE search_progress (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    version TEXT    NOT NULL,   -- of app/search; the index of another is made anew
    after   INTEGER NOT NULL,   -- messages up to this row id are not in the index yet
    upto    INTEGER NOT NULL DEFAULT 0 -- nor are those after this one, which is not below it; no new message has a row id up to it
) STRICT;

-- What is in the index goes with the messages, whoever changes them and why. words_of is a function of
-- the store's connections; it gives the words of a message by its kind and body.
CREATE TRIGGER search_update AFTER UPDATE OF id, conversation, kind, body, shown, silent ON messages BEGIN
    INSERT INTO search (search, rowid, text, place) SELECT 'delete', OLD.id, words_of(OLD.kind, OLD.body), 'c' || OLD.conversation
        FROM search_progress WHERE OLD.shown = 1 AND OLD.silent = 0 AND OLD.id > after AND OLD.id <= upto;
    INSERT INTO search (rowid, text, place) SELECT NEW.id, words_of(NEW.kind, NEW.body), 'c' || NEW.conversation
        FROM search_progress WHERE NEW.shown = 1 AND NEW.silent = 0 AND NEW.id > after AND NEW.id <= upto;
END;
CREATE TRIGGER search_delete AFTER DELETE ON messages WHEN OLD.shown = 1 AND OLD.silent = 0 BEGIN
    INSERT INTO search (search, rowid, text, place) SELECT 'delete', OLD.id, words_of(OLD.kind, OLD.body), 'c' || OLD.conversation
        FROM search_progress WHERE OLD.id > after AND OLD.id <= upto;
END;
