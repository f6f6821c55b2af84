-- The catalog of a store, schema 1: made to be read with sqlite3 by a person as well as by pypim.
-- Times are seconds since 1970 in UTC: show them with datetime(column, 'unixepoch'). Sizes are bytes, digests
-- lower-case hex. NULL means "not said", never "no". A column named `position` keeps an order.

-- What upstreams were found to offer (json-api, sidecar, ranges …); believed for seven days.
CREATE TABLE capabilities (
  upstream TEXT NOT NULL,            -- URL of the upstream
  name TEXT NOT NULL,
  is_offered INTEGER NOT NULL,       -- 1 or 0
  found_at REAL NOT NULL,
  PRIMARY KEY (upstream, name)
) STRICT, WITHOUT ROWID;

-- The newest answer of an upstream for each URL, raw.
CREATE TABLE responses (
  url TEXT PRIMARY KEY,              -- as it was asked for
  upstream TEXT NOT NULL,
  final_url TEXT NOT NULL,           -- after redirects
  status INTEGER NOT NULL,           -- HTTP status
  content_type TEXT NOT NULL,
  etag TEXT,                         -- validators for the next conditional request
  last_modified TEXT,
  serial INTEGER,                    -- X-PyPI-Last-Serial
  fetched_at REAL NOT NULL,          -- or last found to be still valid
  body BLOB NOT NULL                 -- gzip
) STRICT;

-- Project pages, decoded from responses.
CREATE TABLE projects (
  upstream TEXT NOT NULL,
  name TEXT NOT NULL,                -- normalised
  status TEXT NOT NULL,              -- active, archived, quarantined, deprecated (PEP 792)
  status_reason TEXT,
  last_serial INTEGER,
  dropped TEXT NOT NULL,             -- JSON list: one sentence for each entry that could not be used
  url TEXT NOT NULL,                 -- the response it was decoded from
  PRIMARY KEY (upstream, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX projects_by_url ON projects (url);

-- The distribution files that project pages list. The key's columns come first: SQLite 3.40 takes other
-- columns for NULL in its own check of a table without rowid whose key's columns do not.
CREATE TABLE files (
  upstream TEXT NOT NULL,
  project TEXT NOT NULL,             -- normalised
  filename TEXT NOT NULL,
  position INTEGER NOT NULL,         -- on the page
  version TEXT,                      -- normalised, or as the file name has it; NULL where it has none
  kind TEXT,                         -- wheel, sdist, egg, …; NULL where the file name tells nothing
  url TEXT NOT NULL,                 -- absolute
  sha256 TEXT,
  blake2b_256 TEXT,
  size INTEGER,
  upload_time TEXT,                  -- ISO 8601, as the index wrote it
  requires_python TEXT,
  is_yanked INTEGER NOT NULL,        -- 1 or 0 (PEP 592)
  yanked_reason TEXT,
  core_metadata TEXT,                -- sha256 of the .metadata, 'yes', 'no', or NULL (PEP 658, 714)
  provenance TEXT,                   -- URL (PEP 740)
  PRIMARY KEY (upstream, project, filename, position)
) STRICT, WITHOUT ROWID;

-- Core metadata of distribution files, as it was learned.
CREATE TABLE metadata (
  key TEXT PRIMARY KEY,              -- the file's sha256, or its URL where no hash is known
  project TEXT,                      -- as the metadata has it
  version TEXT,
  requires_python TEXT,
  source TEXT NOT NULL,              -- advertised, sidecar, ranges, wheel, pkg-info, pyproject, egg-info, none
  is_lower_bound INTEGER NOT NULL,   -- 1 where building the sdist may add requirements
  decoded TEXT NOT NULL,             -- JSON: everything that was understood
  body BLOB                          -- gzip: the METADATA or PKG-INFO itself, where there is one
) STRICT;

-- The requirements in that metadata, one row each.
CREATE VIEW requirements AS
  SELECT metadata.key, metadata.project, metadata.version, item.key AS position, item.value AS requirement
  FROM metadata, json_each(metadata.decoded, '$.requires_dist') AS item;

-- The distribution files whose bytes we have. A row is written only once the bytes are durable.
CREATE TABLE holdings (
  identity TEXT PRIMARY KEY,         -- filename#sha256 as listed, or filename#url where no sha256 is listed
  project TEXT NOT NULL,
  filename TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  blake2b_256 TEXT NOT NULL,         -- the bytes are in packages/<2 hex>/<2 hex>/<60 hex>/<filename>
  size INTEGER NOT NULL,
  metadata_sha256 TEXT,              -- of the .metadata beside it
  stored_at REAL NOT NULL
) STRICT, WITHOUT ROWID;

-- The states of an index: the newest finished one is what is published, an unfinished one is being prepared.
CREATE TABLE generations (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  index_name TEXT NOT NULL,
  started_at REAL NOT NULL,
  finished_at REAL
) STRICT;

-- The releases that a generation holds.
CREATE TABLE releases (
  generation INTEGER NOT NULL REFERENCES generations (number) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  project TEXT NOT NULL,
  version TEXT NOT NULL,
  PRIMARY KEY (generation, position)
) STRICT, WITHOUT ROWID;

-- The files of those releases.
CREATE TABLE selected (
  generation INTEGER NOT NULL REFERENCES generations (number) ON DELETE CASCADE,
  release INTEGER NOT NULL,          -- releases.position
  position INTEGER NOT NULL,
  project TEXT NOT NULL,
  version TEXT NOT NULL,
  filename TEXT NOT NULL,
  identity TEXT NOT NULL,            -- holdings.identity, once it is held
  url TEXT NOT NULL,
  sha256 TEXT,
  size INTEGER,
  file TEXT NOT NULL,                -- JSON: all that the upstream says of the file
  PRIMARY KEY (generation, release, position)
) STRICT, WITHOUT ROWID;

-- Why each release is held: a root's rule, or a requirement of another release.
CREATE TABLE reasons (
  generation INTEGER NOT NULL REFERENCES generations (number) ON DELETE CASCADE,
  release INTEGER NOT NULL,          -- releases.position
  position INTEGER NOT NULL,
  project TEXT NOT NULL,
  version TEXT NOT NULL,
  origin TEXT NOT NULL,              -- where the root stands; '' for a requirement of a release
  parent_project TEXT NOT NULL,      -- '' for a root
  parent_version TEXT NOT NULL,
  requirement TEXT NOT NULL,         -- as written
  environments TEXT NOT NULL,        -- JSON list of the environments in which it holds
  PRIMARY KEY (generation, release, position)
) STRICT, WITHOUT ROWID;

-- What the pages of a generation say of its projects.
CREATE TABLE selected_projects (
  generation INTEGER NOT NULL REFERENCES generations (number) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  name TEXT NOT NULL,
  status TEXT NOT NULL,
  status_reason TEXT,
  PRIMARY KEY (generation, position)
) STRICT, WITHOUT ROWID;

-- What was asked for and cannot be had.
CREATE TABLE problems (
  generation INTEGER NOT NULL REFERENCES generations (number) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  project TEXT NOT NULL,
  requirement TEXT NOT NULL,
  reason TEXT NOT NULL,
  chain TEXT NOT NULL,               -- JSON list, from the root to the requirement
  environments TEXT NOT NULL,        -- JSON list
  is_root INTEGER NOT NULL,          -- 1 where a root itself fails
  kind TEXT NOT NULL,                -- missing, unsatisfied, excluded, fault
  is_certain INTEGER NOT NULL,       -- 0 where only an open marker leads there, or only some targets are concerned
  PRIMARY KEY (generation, position)
) STRICT, WITHOUT ROWID;

-- Facts to know about what was chosen.
CREATE TABLE warnings (
  generation INTEGER NOT NULL REFERENCES generations (number) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  warning TEXT NOT NULL,
  PRIMARY KEY (generation, position)
) STRICT, WITHOUT ROWID;

-- The pages that stand in the published tree, so that only what differs is written.
CREATE TABLE published_pages (
  index_name TEXT NOT NULL,
  project TEXT NOT NULL,
  digest TEXT NOT NULL,              -- of what was written
  PRIMARY KEY (index_name, project)
) STRICT, WITHOUT ROWID;

-- Files that an index no longer lists and that wait to be deleted.
CREATE TABLE removals (
  index_name TEXT NOT NULL,
  identity TEXT NOT NULL,            -- holdings.identity
  project TEXT NOT NULL,
  since REAL NOT NULL,
  PRIMARY KEY (index_name, identity)
) STRICT, WITHOUT ROWID;

-- Commands that changed something.
CREATE TABLE runs (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  command TEXT NOT NULL,
  index_name TEXT NOT NULL,
  started_at REAL NOT NULL,
  finished_at REAL,                  -- NULL while it runs, or when it was killed
  outcome TEXT,
  summary TEXT NOT NULL              -- JSON: the report
) STRICT;

PRAGMA user_version = 1;

-- What the last complete sync of an index was computed from; no row while a run is under way.
CREATE TABLE findings (
  index_name TEXT PRIMARY KEY,
  digest TEXT NOT NULL, -- of the configuration and of the serials of the projects that were looked at
  consulted TEXT NOT NULL, -- JSON: the names of those projects
  total_files INTEGER NOT NULL,
  total_bytes INTEGER NOT NULL
) STRICT;
