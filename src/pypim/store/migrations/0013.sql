-- Schema 13: when files were last read.

-- When the bytes of a held file were last read and found whole; before that they were when they were stored.
CREATE TABLE readings (
  identity TEXT PRIMARY KEY REFERENCES holdings (identity) ON DELETE CASCADE,
  read_at REAL NOT NULL              -- seconds since the epoch, as every time here
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 13;
