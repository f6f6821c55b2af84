-- Schema 12: what indexes hold, project by project, so that a generation writes only the projects that differ.

-- 1 where the generation amended some projects of the one before; 0 where everything was chosen at once.
ALTER TABLE generations ADD COLUMN is_amended INTEGER NOT NULL DEFAULT 0;

ALTER TABLE releases RENAME TO old_releases;
ALTER TABLE selected RENAME TO old_selected;
ALTER TABLE reasons RENAME TO old_reasons;
ALTER TABLE selected_projects RENAME TO old_projects;
ALTER TABLE problems RENAME TO old_problems;
ALTER TABLE warnings RENAME TO old_warnings;

-- What an index has of a project since a generation, until the next row of that project. The newest finished
-- generation is what is published; finishing one drops the rows that it replaces.
CREATE TABLE states (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  index_name TEXT NOT NULL,
  project TEXT NOT NULL,             -- normalised; '' for what is said of no single project
  generation INTEGER NOT NULL,       -- generations.number of any time, finished and dropped perhaps
  status TEXT,                       -- active, archived, quarantined, deprecated (PEP 792); NULL: its page was not read
  status_reason TEXT,
  digest TEXT,                       -- of all that is said here; NULL where an older pypim wrote it
  is_gone INTEGER NOT NULL DEFAULT 0, -- 1: the index will have nothing of the project; only while it is not finished
  releases INTEGER NOT NULL DEFAULT 0, -- how many are chosen
  files INTEGER NOT NULL DEFAULT 0,
  file_bytes INTEGER NOT NULL DEFAULT 0, -- of those, as far as the upstream says their sizes
  held_files INTEGER NOT NULL DEFAULT 0, -- those of them that are in holdings
  held_bytes INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX states_of_index ON states (index_name, project, generation);
CREATE INDEX states_of_generation ON states (generation);

-- The same with the generation that replaces it; NULL where none does.
CREATE VIEW spans AS
  SELECT one.*, (
    SELECT min(next.generation) FROM states AS next
    WHERE next.index_name = one.index_name AND next.project = one.project AND next.generation > one.generation
  ) AS until
  FROM states AS one WHERE one.is_gone = 0;

-- The releases of a project that are held.
CREATE TABLE releases (
  state INTEGER NOT NULL REFERENCES states (number) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  project TEXT NOT NULL,
  version TEXT NOT NULL,
  PRIMARY KEY (state, position)
) STRICT, WITHOUT ROWID;

-- The files of those releases.
CREATE TABLE selected (
  state INTEGER NOT NULL REFERENCES states (number) ON DELETE CASCADE,
  release INTEGER NOT NULL,          -- releases.position
  position INTEGER NOT NULL,
  version TEXT NOT NULL,
  filename TEXT NOT NULL,
  identity TEXT NOT NULL,            -- holdings.identity, once it is held
  url TEXT NOT NULL,
  sha256 TEXT,
  size INTEGER,
  file TEXT NOT NULL,                -- JSON: all that the upstream says of the file
  PRIMARY KEY (state, release, position)
) STRICT, WITHOUT ROWID;

-- Why each release is held: a root's rule, or a requirement of another release.
CREATE TABLE reasons (
  state INTEGER NOT NULL REFERENCES states (number) ON DELETE CASCADE,
  release INTEGER NOT NULL,          -- releases.position
  position INTEGER NOT NULL,
  project TEXT NOT NULL,
  version TEXT NOT NULL,
  origin TEXT NOT NULL,              -- where the root stands; '' for a requirement of a release
  parent_project TEXT NOT NULL,      -- '' for a root
  parent_version TEXT NOT NULL,
  requirement TEXT NOT NULL,         -- as written
  environments TEXT NOT NULL,        -- JSON list of the environments in which it holds
  is_build INTEGER NOT NULL,         -- 1 where the parent needs it to be built from its sdist, rather than to run
  shares TEXT,                       -- JSON list of [environments, resolutions]: in which resolutions it counts; 0 is
                                     -- the newest of everything; [] and NULL: that one, wherever the reason holds
  PRIMARY KEY (state, release, position)
) STRICT, WITHOUT ROWID;

-- What was asked for and cannot be had.
CREATE TABLE problems (
  state INTEGER NOT NULL REFERENCES states (number) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  project TEXT NOT NULL,
  requirement TEXT NOT NULL,
  reason TEXT NOT NULL,
  chain TEXT NOT NULL,               -- JSON list, from the root to the requirement
  environments TEXT NOT NULL,        -- JSON list
  is_root INTEGER NOT NULL,          -- 1 where a root itself fails
  kind TEXT NOT NULL,                -- missing, unsatisfied, excluded, fault
  is_certain INTEGER NOT NULL,       -- 0 where only an open marker leads there, or only some targets are concerned
  PRIMARY KEY (state, position)
) STRICT, WITHOUT ROWID;

-- Facts to know about what was chosen.
CREATE TABLE warnings (
  state INTEGER NOT NULL REFERENCES states (number) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  warning TEXT NOT NULL,
  PRIMARY KEY (state, position)
) STRICT, WITHOUT ROWID;

-- What was there is carried over.
INSERT INTO states (index_name, project, generation, status, status_reason)
  SELECT generations.index_name, found.project, generations.number, facts.status, facts.status_reason
  FROM generations
  JOIN (
    SELECT generation, project FROM old_releases
    UNION SELECT generation, name FROM old_projects
    UNION SELECT generation, '' FROM old_problems
    UNION SELECT generation, '' FROM old_warnings
  ) AS found ON found.generation = generations.number
  LEFT JOIN old_projects AS facts ON facts.generation = generations.number AND facts.name = found.project
  ORDER BY generations.number, found.project;
INSERT INTO states (index_name, project, generation, is_gone)
  SELECT begun.index_name, states.project, begun.number, 1
  FROM generations AS begun
  JOIN states ON states.index_name = begun.index_name AND states.generation < begun.number
  WHERE begun.finished_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM states AS next WHERE next.generation = begun.number AND next.project = states.project
  );
-- Where each release of before stands now; only while it is carried over.
CREATE TABLE old_places AS
  SELECT old_releases.generation, old_releases.position, states.number AS state,
    row_number() OVER (PARTITION BY states.number ORDER BY old_releases.position) - 1 AS place
  FROM old_releases
  JOIN states ON states.generation = old_releases.generation AND states.project = old_releases.project;
CREATE UNIQUE INDEX old_places_known ON old_places (generation, position);
INSERT INTO releases (state, position, project, version)
  SELECT state, place, project, version FROM old_releases JOIN old_places USING (generation, position);
INSERT INTO selected (state, release, position, version, filename, identity, url, sha256, size, file)
  SELECT old_places.state, old_places.place, chosen.position, version, filename, identity, url, sha256, size, file
  FROM old_selected AS chosen
  JOIN old_places ON old_places.generation = chosen.generation AND old_places.position = chosen.release;
INSERT INTO reasons (state, release, position, project, version, origin, parent_project, parent_version, requirement,
    environments, is_build, shares)
  SELECT old_places.state, old_places.place, given.position, project, version, origin, parent_project, parent_version,
    requirement, environments, is_build, shares
  FROM old_reasons AS given
  JOIN old_places ON old_places.generation = given.generation AND old_places.position = given.release;
INSERT INTO problems
  SELECT states.number, named.position, named.project, requirement, reason, chain, environments, is_root, kind,
    is_certain
  FROM old_problems AS named JOIN states ON states.generation = named.generation AND states.project = '';
INSERT INTO warnings
  SELECT states.number, given.position, warning
  FROM old_warnings AS given JOIN states ON states.generation = given.generation AND states.project = '';
DROP TABLE old_places;
DROP TABLE old_releases;
DROP TABLE old_selected;
DROP TABLE old_reasons;
DROP TABLE old_projects;
DROP TABLE old_problems;
DROP TABLE old_warnings;
CREATE INDEX selected_by_identity ON selected (identity);

-- Counted as it changes, so that nobody has to count millions of files to tell of them.
UPDATE states SET
  releases = (SELECT count(*) FROM releases WHERE state = number),
  files = (SELECT count(*) FROM selected WHERE state = number),
  file_bytes = (SELECT coalesce(sum(size), 0) FROM selected WHERE state = number),
  held_files = (SELECT count(*) FROM selected JOIN holdings USING (identity) WHERE state = number),
  held_bytes = (SELECT coalesce(sum(holdings.size), 0) FROM selected JOIN holdings USING (identity)
    WHERE state = number);
CREATE TRIGGER release_chosen AFTER INSERT ON releases BEGIN
  UPDATE states SET releases = releases + 1 WHERE number = new.state;
END;
CREATE TRIGGER file_chosen AFTER INSERT ON selected BEGIN
  UPDATE states SET files = files + 1, file_bytes = file_bytes + coalesce(new.size, 0),
    held_files = held_files + (SELECT count(*) FROM holdings WHERE identity = new.identity),
    held_bytes = held_bytes + (SELECT coalesce(sum(size), 0) FROM holdings WHERE identity = new.identity)
  WHERE number = new.state;
END;
CREATE TRIGGER holding_counted AFTER INSERT ON holdings BEGIN
  UPDATE states SET held_files = held_files + 1, held_bytes = held_bytes + new.size
  WHERE number IN (SELECT state FROM selected WHERE identity = new.identity);
END;
CREATE TRIGGER holding_counted_anew AFTER UPDATE OF size ON holdings BEGIN
  UPDATE states SET held_bytes = held_bytes + new.size - old.size
  WHERE number IN (SELECT state FROM selected WHERE identity = new.identity);
END;
CREATE TRIGGER holding_discounted AFTER DELETE ON holdings BEGIN
  UPDATE states SET held_files = held_files - 1, held_bytes = held_bytes - old.size
  WHERE number IN (SELECT state FROM selected WHERE identity = old.identity);
END;

-- How far an index has come with choosing its projects one by one, in the order of their names.
CREATE TABLE walks (
  index_name TEXT PRIMARY KEY,
  digest TEXT NOT NULL,              -- of what the configuration says of the index, and of the program
  upstream TEXT NOT NULL,            -- its URL
  since INTEGER,                     -- only what changed after that revision of the upstream; NULL: every project
  until INTEGER NOT NULL,            -- the revision that the upstream had when the walk began
  after TEXT NOT NULL,               -- every project up to this name is done, or on the to-do
  is_ended INTEGER NOT NULL          -- 1: all of them are
) STRICT, WITHOUT ROWID;

CREATE INDEX published_leaving ON published_pages (index_name, project) WHERE digest = '';

-- Projects that must be looked at again at some time though nothing changes: a file will then be old enough.
CREATE TABLE revisits (
  index_name TEXT NOT NULL,
  project TEXT NOT NULL,
  due_at REAL NOT NULL,
  PRIMARY KEY (index_name, project)
) STRICT, WITHOUT ROWID;
CREATE INDEX revisits_by_time ON revisits (index_name, due_at);

-- The list of projects as it stands in the published tree; no row while projects may be missing from it.
CREATE TABLE published_lists (
  index_name TEXT PRIMARY KEY,
  digest TEXT NOT NULL               -- of what was written
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 12;
