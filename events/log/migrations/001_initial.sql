-- The embedded log. One row is one group of events, committed together.

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- `ids` stands before `payload`: rebuilding the duplicate index then reads no payload pages.
CREATE TABLE segment (
    first INTEGER PRIMARY KEY,
    count INTEGER NOT NULL CHECK (count > 0),
    committed_ns INTEGER NOT NULL,
    time_min_ns INTEGER NOT NULL,
    time_max_ns INTEGER NOT NULL,
    codec INTEGER NOT NULL,
    previous_hash BLOB NOT NULL CHECK (length(previous_hash) = 32),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    ids BLOB NOT NULL CHECK (length(ids) = 16 * count),
    payload BLOB NOT NULL
) STRICT;

CREATE TRIGGER segment_is_never_updated BEFORE UPDATE ON segment
BEGIN
    SELECT RAISE(ABORT, 'the log is append-only: a segment is never updated');
END;

CREATE TRIGGER segment_is_never_deleted BEFORE DELETE ON segment
BEGIN
    SELECT RAISE(ABORT, 'the log is append-only: a segment is never deleted');
END;

-- Also stops INSERT OR REPLACE, which passes the trigger above unless recursive_triggers is on.
CREATE TRIGGER segment_only_follows_the_last BEFORE INSERT ON segment
WHEN new.first IS NOT coalesce(
    (SELECT first + count FROM segment ORDER BY first DESC LIMIT 1), 1)
BEGIN
    SELECT RAISE(ABORT, 'the log is append-only: a segment follows the last one');
END;

CREATE TRIGGER meta_is_never_updated BEFORE UPDATE ON meta
BEGIN
    SELECT RAISE(ABORT, 'the log''s identity is never changed');
END;

CREATE TRIGGER meta_is_never_deleted BEFORE DELETE ON meta
BEGIN
    SELECT RAISE(ABORT, 'the log''s identity is never changed');
END;

CREATE TRIGGER meta_is_never_replaced BEFORE INSERT ON meta
WHEN EXISTS (SELECT 1 FROM meta WHERE name = new.name)
BEGIN
    SELECT RAISE(ABORT, 'the log''s identity is never changed');
END;
