-- Schema 3: sizes.

-- Sizes of distribution files whose page says none, as they were learned for filters.max-file-size.
CREATE TABLE sizes (
  sha256 TEXT PRIMARY KEY,
  size INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 3;
