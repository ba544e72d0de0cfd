-- The index of words follows the messages at a distance: see sql/schema/16-search.sql.
ALTER TABLE search_progress ADD COLUMN upto INTEGER NOT NULL DEFAULT 0;
UPDATE search_progress SET upto = max(after, (SELECT coalesce(max(id), 0) FROM messages));
DROP TRIGGER search_insert;
DROP TRIGGER search_update;
DROP TRIGGER search_delete;
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
