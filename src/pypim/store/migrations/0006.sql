-- Schema 6: what proxies keep of the files that passed through them.

-- The files that an index of the kind proxy keeps; their bytes are in holdings, under the same identity.
CREATE TABLE cached (
  index_name TEXT NOT NULL,
  identity TEXT NOT NULL,            -- holdings.identity
  project TEXT NOT NULL,             -- normalised
  filename TEXT NOT NULL,
  size INTEGER NOT NULL,
  used_at REAL NOT NULL,             -- when it was last asked for, to within a minute
  PRIMARY KEY (index_name, identity)
) STRICT, WITHOUT ROWID;
CREATE INDEX cached_by_use ON cached (index_name, used_at);
CREATE INDEX cached_by_identity ON cached (identity);
CREATE INDEX holdings_by_project ON holdings (project);

-- The core metadata that proxies give out of wheels they do not hold: its bytes are in metadata, under the same key.
CREATE TABLE sidecars (
  key TEXT PRIMARY KEY,              -- metadata.key
  sha256 TEXT                        -- of those bytes; NULL: the upstream claims that there are some, and is wrong
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 6;
