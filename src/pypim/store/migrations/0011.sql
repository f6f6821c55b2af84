-- Schema 11: the whole catalog. Pages are decoded into tables that take millions of rows, what projects say of
-- themselves has tables of its own, and requirements are rows, to be asked for from both ends.

ALTER TABLE projects RENAME TO old_projects;
DROP INDEX projects_by_url;
-- Project pages, decoded from responses, each with what it comes to: nobody has to count millions of files.
CREATE TABLE projects (
  id INTEGER PRIMARY KEY,
  upstream TEXT NOT NULL,
  name TEXT NOT NULL,                -- normalised
  status TEXT NOT NULL,              -- active, archived, quarantined, deprecated (PEP 792)
  status_reason TEXT,
  last_serial INTEGER,
  dropped TEXT NOT NULL,             -- JSON list: one sentence for each entry that could not be used
  url TEXT NOT NULL,                 -- the response it was decoded from
  releases INTEGER NOT NULL,         -- how many of them its files are of, or the page names
  files INTEGER NOT NULL,
  file_bytes INTEGER NOT NULL,       -- as far as the page says sizes
  first_upload TEXT,                 -- ISO 8601, as the index wrote it
  last_upload TEXT,
  UNIQUE (upstream, name)
) STRICT;
CREATE INDEX projects_by_name ON projects (name);
CREATE INDEX projects_by_url ON projects (url);
CREATE INDEX projects_by_serial ON projects (last_serial, url);
CREATE INDEX responses_by_serial ON responses (serial, url);

ALTER TABLE files RENAME TO old_files;
-- The distribution files that project pages list, in the order of projects and pages: rows only ever come at the end.
CREATE TABLE listed_files (
  id INTEGER PRIMARY KEY,            -- projects.id * 16777216 + the position on the page
  filename TEXT NOT NULL,
  version TEXT,                      -- normalised, or as the file name has it; NULL where it has none
  kind TEXT,                         -- wheel, sdist, egg, …; NULL where the file name tells nothing
  url TEXT NOT NULL,                 -- absolute
  sha256 TEXT,
  blake2b_256 TEXT,
  size INTEGER,
  upload_time TEXT,                  -- ISO 8601, as the index wrote it
  requires_python TEXT,
  yanked TEXT,                       -- why (PEP 592), '' where nobody said; NULL where it is not
  core_metadata TEXT,                -- sha256 of the .metadata, 'yes', 'no', or NULL (PEP 658, 714)
  provenance TEXT                    -- URL (PEP 740)
) STRICT;

-- The releases of those pages: those of the files, and those without files that a page names (PEP 700).
CREATE TABLE listed_releases (
  project_id INTEGER NOT NULL,       -- projects.id
  version TEXT NOT NULL,             -- normalised where it can be; '' for files without a version
  files INTEGER NOT NULL,
  yanked_files INTEGER NOT NULL,
  file_bytes INTEGER NOT NULL,       -- as far as the page says sizes
  first_upload TEXT,                 -- ISO 8601, as the index wrote it
  PRIMARY KEY (project_id, version)
) STRICT, WITHOUT ROWID;

-- The listed files with their projects by name. The join is a CROSS JOIN for its order: to ask for those of one
-- project costs as much as it has.
CREATE VIEW files AS
  SELECT projects.upstream, projects.name AS project, listed_files.filename, listed_files.id & 16777215 AS position,
    listed_files.version, listed_files.kind, listed_files.url, listed_files.sha256, listed_files.blake2b_256,
    listed_files.size, listed_files.upload_time, listed_files.requires_python,
    listed_files.yanked IS NOT NULL AS is_yanked, nullif(listed_files.yanked, '') AS yanked_reason,
    listed_files.core_metadata, listed_files.provenance
  FROM projects CROSS JOIN listed_files
    ON listed_files.id BETWEEN projects.id * 16777216 AND projects.id * 16777216 + 16777215;

INSERT INTO projects (upstream, name, status, status_reason, last_serial, dropped, url, releases, files, file_bytes,
    first_upload, last_upload)
  SELECT upstream, name, status, status_reason, last_serial, dropped, url,
    (SELECT count(DISTINCT coalesce(version, '')) FROM old_files AS one
      WHERE one.upstream = old_projects.upstream AND one.project = old_projects.name),
    (SELECT count(*) FROM old_files AS one
      WHERE one.upstream = old_projects.upstream AND one.project = old_projects.name),
    (SELECT coalesce(sum(size), 0) FROM old_files AS one
      WHERE one.upstream = old_projects.upstream AND one.project = old_projects.name),
    (SELECT min(upload_time) FROM old_files AS one
      WHERE one.upstream = old_projects.upstream AND one.project = old_projects.name),
    (SELECT max(upload_time) FROM old_files AS one
      WHERE one.upstream = old_projects.upstream AND one.project = old_projects.name)
  FROM old_projects ORDER BY upstream, name;
INSERT INTO listed_files
  SELECT projects.id * 16777216 + position, filename, version, kind, old_files.url, sha256, blake2b_256, size,
    upload_time, requires_python, CASE WHEN is_yanked THEN coalesce(yanked_reason, '') END, core_metadata, provenance
  FROM old_files JOIN projects ON projects.upstream = old_files.upstream AND projects.name = old_files.project
  ORDER BY projects.id, position;
INSERT INTO listed_releases
  SELECT id >> 24, coalesce(version, ''), count(*), count(yanked), coalesce(sum(size), 0), min(upload_time)
  FROM listed_files GROUP BY id >> 24, coalesce(version, '');
DROP TABLE old_files;
DROP TABLE old_projects;

-- What projects say of themselves: the `info` of their documents of the JSON API. It is that of one release, and of
-- its first file only.
CREATE TABLE descriptions (
  upstream TEXT NOT NULL,
  project TEXT NOT NULL,             -- normalised
  url TEXT NOT NULL,                 -- the response it was decoded from
  version TEXT,                      -- the release that it speaks of, normalised where it can be
  summary TEXT,
  author TEXT,
  author_email TEXT,
  maintainer TEXT,
  maintainer_email TEXT,
  license TEXT,
  license_expression TEXT,           -- SPDX (PEP 639)
  keywords TEXT,
  home_page TEXT,
  requires_python TEXT,
  project_urls TEXT NOT NULL,        -- JSON object: label -> URL
  PRIMARY KEY (upstream, project)
) STRICT, WITHOUT ROWID;
CREATE INDEX descriptions_by_url ON descriptions (url);
-- The classifiers that projects give themselves.
CREATE TABLE classifiers (
  upstream TEXT NOT NULL,
  project TEXT NOT NULL,             -- normalised
  classifier TEXT NOT NULL,
  PRIMARY KEY (classifier, upstream, project)
) STRICT, WITHOUT ROWID;
CREATE INDEX classifiers_of_project ON classifiers (upstream, project);

DROP VIEW requirements;
-- What requires what: one row for each requirement in the core metadata of a file, and for each in a description.
CREATE TABLE requirements (
  required TEXT NOT NULL,            -- the project that is required, normalised
  project TEXT NOT NULL,             -- the one that requires it, normalised
  version TEXT NOT NULL,             -- the release of it, normalised where it can be; '' where nobody said
  key TEXT NOT NULL,                 -- metadata.key, or descriptions.url
  position INTEGER NOT NULL,         -- among the requirements there
  requirement TEXT NOT NULL,         -- as written
  extras TEXT NOT NULL,              -- of the required project, sorted, with commas; '' for none
  specifier TEXT NOT NULL,           -- '' for any version
  marker TEXT,                       -- the condition, NULL for always
  is_build INTEGER NOT NULL,         -- 1 where it is needed to build the sdist (PEP 518)
  is_described INTEGER NOT NULL,     -- 1 where a description says it: true of the first file of that release only
  PRIMARY KEY (required, project, version, key, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX requirements_of_key ON requirements (key);
CREATE INDEX requirements_of_release ON requirements (project, version, is_described);

-- `read_name`, `read_version` and `read_requirement` are pypim's own, known while it migrates.
INSERT OR IGNORE INTO requirements
  SELECT json_extract(parsed, '$[0]'), owner, release, key, position, requirement, json_extract(parsed, '$[1]'),
    json_extract(parsed, '$[2]'), json_extract(parsed, '$[3]'), is_build, 0
  FROM (
    SELECT read_name(metadata.project) AS owner, read_version(metadata.version) AS release, metadata.key,
      item.key AS position, item.value AS requirement, read_requirement(item.value) AS parsed, 0 AS is_build
    FROM metadata, json_each(metadata.decoded, '$.requires_dist') AS item
    UNION ALL
    SELECT read_name(metadata.project), read_version(metadata.version), metadata.key,
      item.key + coalesce(json_array_length(metadata.decoded, '$.requires_dist'), 0), item.value,
      read_requirement(item.value), 1
    FROM metadata, json_each(metadata.decoded, '$.build_requires') AS item
  )
  WHERE owner IS NOT NULL AND parsed IS NOT NULL;

PRAGMA user_version = 11;
