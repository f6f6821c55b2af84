-- Schema 16: since when the longest unread file was not read is known without a look at every file.

-- Every file that is held has a row here now: it was whole when it was stored.
INSERT INTO readings (identity, read_at) SELECT identity, stored_at FROM holdings WHERE true
ON CONFLICT (identity) DO UPDATE SET read_at = max(readings.read_at, excluded.read_at);
CREATE INDEX readings_by_time ON readings (read_at);
CREATE TRIGGER holding_stored AFTER INSERT ON holdings BEGIN
  INSERT INTO readings (identity, read_at) VALUES (new.identity, new.stored_at)
  ON CONFLICT (identity) DO UPDATE SET read_at = excluded.read_at;
END;
CREATE TRIGGER holding_stored_again AFTER UPDATE OF stored_at ON holdings BEGIN
  INSERT INTO readings (identity, read_at) VALUES (new.identity, new.stored_at)
  ON CONFLICT (identity) DO UPDATE SET read_at = excluded.read_at;
END;

PRAGMA user_version = 16;
