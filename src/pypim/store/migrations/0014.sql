-- Schema 14: what is believed of whom. What an upstream says counts for that upstream, what was read out of bytes that
-- were checked counts for all, and a file counts for those indexes that it came to.
--
-- An upstream is known by its URL without credentials. Where it is asked with credentials, a digest of whose they are,
-- which has no secret in it, and an "@" stand before the URL, here as in responses, projects.url and followed.

-- For which index, and from where, files came to the store.
CREATE TABLE origins (
  id INTEGER PRIMARY KEY,
  index_name TEXT NOT NULL,          -- '' for what was found in the store when its catalog was made anew
  upstream TEXT NOT NULL,            -- its URL, without credentials; '' where an older pypim fetched it
  credentials TEXT NOT NULL,         -- digest of whose credentials it came with; '' without any
  UNIQUE (index_name, upstream, credentials)
) STRICT;

-- What came from there. A file that was uploaded and came from nowhere else has no row: it is nobody else's.
CREATE TABLE came (
  identity TEXT NOT NULL REFERENCES holdings (identity) ON DELETE CASCADE,
  origin INTEGER NOT NULL REFERENCES origins (id),
  PRIMARY KEY (identity, origin)
) STRICT, WITHOUT ROWID;

INSERT INTO origins (index_name, upstream, credentials)
  SELECT index_name, '', '' FROM cached UNION SELECT index_name, '', '' FROM states;
INSERT INTO came (identity, origin)
  SELECT kept.identity, origins.id FROM (
    SELECT index_name, identity FROM cached
    UNION SELECT states.index_name, selected.identity FROM selected JOIN states ON states.number = selected.state
  ) AS kept
  JOIN origins ON origins.index_name = kept.index_name
  JOIN holdings ON holdings.identity = kept.identity
  WHERE kept.identity NOT IN (SELECT identity FROM hosted_files);

ALTER TABLE metadata RENAME TO old_metadata;

-- Core metadata, as it was learned: of bytes whose sha256 was checked, or as an upstream says it.
CREATE TABLE metadata (
  key TEXT NOT NULL,                 -- the file's sha256, or its URL where no hash is known
  upstream TEXT NOT NULL,            -- who says so; '*': the bytes themselves
  project TEXT,                      -- as the metadata has it
  version TEXT,
  requires_python TEXT,
  source TEXT NOT NULL,              -- advertised, sidecar, ranges, wheel, pkg-info, pyproject, egg-info, none
  is_lower_bound INTEGER NOT NULL,   -- 1 where building the sdist may add requirements
  decoded TEXT NOT NULL,             -- JSON: everything that was understood
  body BLOB,                         -- gzip: the METADATA or PKG-INFO itself, where there is one
  PRIMARY KEY (key, upstream)
) STRICT;
-- Whole files were always checked where a sha256 was listed. All else is asked for again.
INSERT INTO metadata (key, upstream, project, version, requires_python, source, is_lower_bound, decoded, body)
  SELECT key, '*', project, version, requires_python, source, is_lower_bound, decoded, body FROM old_metadata
  WHERE source IN ('wheel', 'pkg-info', 'pyproject', 'egg-info') AND length(key) = 64 AND key NOT GLOB '*[^0-9a-f]*';
DROP TABLE old_metadata;
DELETE FROM requirements WHERE is_described = 0 AND key NOT IN (SELECT key FROM metadata);
CREATE TRIGGER metadata_kept AFTER INSERT ON metadata BEGIN UPDATE knowledge SET version = version + 1; END;
CREATE TRIGGER metadata_replaced AFTER UPDATE ON metadata BEGIN UPDATE knowledge SET version = version + 1; END;

DROP TABLE sizes;

-- Sizes of distribution files whose page says none, as an upstream told them for filters.max-file-size.
CREATE TABLE sizes (
  sha256 TEXT NOT NULL,
  upstream TEXT NOT NULL,
  size INTEGER NOT NULL,
  PRIMARY KEY (sha256, upstream)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER size_kept AFTER INSERT ON sizes BEGIN UPDATE knowledge SET version = version + 1; END;
CREATE TRIGGER size_replaced AFTER UPDATE ON sizes BEGIN UPDATE knowledge SET version = version + 1; END;

DROP TABLE sidecars;

-- The core metadata that proxies of an upstream give out of wheels they do not hold: its bytes are in metadata, under
-- the same key and upstream.
CREATE TABLE sidecars (
  key TEXT NOT NULL,                 -- metadata.key
  upstream TEXT NOT NULL,
  sha256 TEXT,                       -- of those bytes; NULL: the upstream claims that there are some, and is wrong
  PRIMARY KEY (key, upstream)
) STRICT, WITHOUT ROWID;

-- A selection of before may follow what another upstream said: it is computed anew.
DELETE FROM findings;
UPDATE knowledge SET version = version + 1;

PRAGMA user_version = 14;
