-- Schema 7: hosted indexes, the private ones that take uploads.

-- Their projects. One that was made once stays, also without files: its name is nobody else's.
CREATE TABLE hosted_projects (
  index_name TEXT NOT NULL,
  name TEXT NOT NULL,                -- normalised
  status TEXT NOT NULL,              -- active, archived, quarantined, deprecated (PEP 792)
  status_reason TEXT,
  serial INTEGER NOT NULL,           -- of its last change
  PRIMARY KEY (index_name, name)
) STRICT, WITHOUT ROWID;

-- The files that were uploaded and not deleted since; each has a row in holdings under its identity.
CREATE TABLE hosted_files (
  index_name TEXT NOT NULL,
  filename TEXT NOT NULL,
  project TEXT NOT NULL,             -- normalised
  version TEXT NOT NULL,             -- normalised
  identity TEXT NOT NULL,            -- <filename>#<sha256>
  sha256 TEXT NOT NULL,
  blake2b_256 TEXT NOT NULL,
  size INTEGER NOT NULL,
  uploaded_at REAL NOT NULL,
  uploaded_by TEXT NOT NULL,         -- name of a user or token
  requires_python TEXT,
  metadata_sha256 TEXT,              -- of the .metadata beside a wheel
  is_yanked INTEGER NOT NULL,        -- 1 or 0 (PEP 592)
  yanked_reason TEXT,
  attestations TEXT,                 -- JSON list as it was uploaded (PEP 740), not verified
  PRIMARY KEY (index_name, filename)
) STRICT, WITHOUT ROWID;
CREATE INDEX hosted_files_by_project ON hosted_files (index_name, project, uploaded_at, filename);

-- File names of which a file was deleted: they are not used again.
CREATE TABLE hosted_tombstones (
  index_name TEXT NOT NULL,
  filename TEXT NOT NULL,
  project TEXT NOT NULL,             -- normalised
  sha256 TEXT NOT NULL,              -- of the bytes that had the name
  deleted_at REAL NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (index_name, filename)
) STRICT, WITHOUT ROWID;

-- Every change, in order: what mirrors of a hosted index ask for. A serial is never given twice.
CREATE TABLE hosted_changes (
  serial INTEGER PRIMARY KEY AUTOINCREMENT,
  index_name TEXT NOT NULL,
  project TEXT NOT NULL,             -- normalised
  version TEXT,
  changed_at REAL NOT NULL,
  action TEXT NOT NULL               -- create, new release, add source file x.tar.gz, remove file x, yank release …
) STRICT;
CREATE INDEX hosted_changes_by_index ON hosted_changes (index_name, serial);

PRAGMA user_version = 7;
