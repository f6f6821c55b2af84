-- Schema 10: what is known of upstreams as a whole, and what is still to be done.

-- An upstream, known by its URL without credentials: at another URL another server answers.
CREATE TABLE followed (
  id INTEGER PRIMARY KEY,
  upstream TEXT NOT NULL UNIQUE,
  way TEXT NOT NULL,                 -- xml-rpc, json, html, projects: how it was asked last
  serial INTEGER,                    -- all that the upstream did up to it is known
  revision INTEGER NOT NULL,         -- of the newest change in listed; 0 for the first list
  projects INTEGER NOT NULL,         -- how many are listed
  asked_at REAL NOT NULL,            -- seconds since the epoch, as every time here
  listed_at REAL,                    -- when the list, or what changed of it, was last complete
  fresh_until REAL,
  etag TEXT,
  last_modified TEXT,
  digest TEXT,                       -- SHA-256 of the list as it came over the wire
  behind_since REAL                  -- since when its lists are older than the one that is known
) STRICT;

-- Every project that an upstream lists or listed. A row changes only when the project does.
CREATE TABLE listed (
  followed_id INTEGER NOT NULL REFERENCES followed (id) ON DELETE CASCADE,
  name TEXT NOT NULL,                -- normalised
  serial INTEGER,
  revision INTEGER NOT NULL,
  missing_since REAL,                -- when it was first not there, though nobody said that it was removed
  misses INTEGER NOT NULL DEFAULT 0, -- how often that was confirmed
  seen_at REAL,                      -- of a missing one: when it was there last; NULL: followed.listed_at
  is_gone INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (followed_id, name)
) STRICT, WITHOUT ROWID;

-- The first list of hundreds of thousands stays out of it: whoever has seen none yet reads them all.
CREATE INDEX listed_changes ON listed (followed_id, revision) WHERE revision > 0;
CREATE INDEX listed_missing ON listed (followed_id) WHERE missing_since IS NOT NULL;

-- The projects that an index could not bring up to date.
CREATE TABLE todo (
  index_name TEXT NOT NULL,
  project TEXT NOT NULL,
  code TEXT NOT NULL,                -- the kind of the error
  error TEXT NOT NULL,               -- its sentence
  attempts INTEGER NOT NULL,
  first_at REAL NOT NULL,
  tried_at REAL NOT NULL,
  next_at REAL NOT NULL,
  required_serial INTEGER,           -- that which the page should have had
  is_accepted INTEGER NOT NULL,      -- the older state was taken in the end
  PRIMARY KEY (index_name, project)
) STRICT, WITHOUT ROWID;

-- What is known of an upstream as a whole counts for plans: rows of listed change only with the revision or the way.
CREATE TRIGGER followed_kept AFTER INSERT ON followed BEGIN UPDATE knowledge SET version = version + 1; END;
CREATE TRIGGER followed_changed AFTER UPDATE ON followed
WHEN new.revision <> old.revision OR new.way <> old.way OR new.serial IS NOT old.serial
BEGIN UPDATE knowledge SET version = version + 1; END;

PRAGMA user_version = 10;
