-- Every statement that pypim runs on the catalog; `sql.load_queries` reads them by name.

-- The connection -----------------------------------------------------------------------------------------------------

-- name: begin
BEGIN IMMEDIATE
-- name: commit
COMMIT
-- name: schema_version
PRAGMA user_version
-- With its indexes, for a wrong one hides rows from those who look for them.
-- name: integrity_check
PRAGMA integrity_check(20)
-- What makes the tables and all the rest, in an order in which it can be made again.
-- name: statements_of_schema
SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
ORDER BY type = 'table' DESC, type = 'trigger'
-- SQLite's own check does not look into texts and blobs: for each table the statement that reads all of them.
-- name: statements_of_values
SELECT tables.name, 'SELECT ' || group_concat('"' || columns.name || '"', ', ') || ' FROM "' || tables.name || '"'
FROM sqlite_master AS tables JOIN pragma_table_info(tables.name) AS columns
WHERE tables.type = 'table' AND columns.type IN ('TEXT', 'BLOB') GROUP BY tables.name
-- Readers never wait for the writer, nor it for them.
-- name: use_wal
PRAGMA journal_mode = WAL
-- For who writes gigabytes: the log is copied by 64 MB and not by 4, which is fewer waits for the disk.
-- name: checkpoint_seldom
PRAGMA wal_autocheckpoint = 16384
-- name: enforce_references
PRAGMA foreign_keys = ON
-- Before a row with triggers is written, what it may change is put aside for the case that it fails. Done in files, that
-- costs more than all of the writing.
-- name: undo_in_memory
PRAGMA temp_store = MEMORY
-- name: refuse_writes
PRAGMA query_only = ON
-- A commit survives a power cut: for what a run is told to have done.
-- name: sync_every_commit
PRAGMA synchronous = FULL
-- A commit survives the death of the process, not a power cut: for what can be asked for again.
-- name: sync_at_checkpoints
PRAGMA synchronous = NORMAL

-- Pages --------------------------------------------------------------------------------------------------------------

-- name: response
SELECT url, final_url, status, content_type, etag, last_modified, serial, fetched_at, fresh_until, body
FROM responses WHERE url = ?
-- The validators of an answer, and the end of its body, from which its length is known.
-- name: response_outline
SELECT status, etag, last_modified, fetched_at, substr(body, -8) FROM responses WHERE url = ?
-- name: keep_response
INSERT INTO responses (url, upstream, final_url, status, content_type, etag, last_modified, serial, fetched_at,
  fresh_until, body, page, page_by)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (url) DO UPDATE SET upstream = excluded.upstream, final_url = excluded.final_url, status = excluded.status,
  content_type = excluded.content_type, etag = excluded.etag, last_modified = excluded.last_modified,
  serial = excluded.serial, fetched_at = excluded.fetched_at,
  fresh_until = excluded.fresh_until, body = excluded.body, page = excluded.page, page_by = excluded.page_by
-- name: kept_pages
SELECT url, page, fetched_at, fresh_until FROM responses
WHERE url IN (SELECT value FROM json_each(?)) AND page IS NOT NULL AND page_by = ?
-- name: fresh_until
SELECT count(*), min(coalesce(fresh_until, 0)) FROM responses WHERE url IN (SELECT value FROM json_each(?))
-- name: last_serial
SELECT max(told) FROM (
  SELECT * FROM (
    SELECT serial AS told FROM responses INDEXED BY responses_by_serial
    WHERE serial IS NOT NULL AND substr(url, 1, length(?1)) = ?1 ORDER BY serial DESC LIMIT 1
  ) UNION ALL SELECT * FROM (
    SELECT last_serial FROM projects INDEXED BY projects_by_serial
    WHERE last_serial IS NOT NULL AND substr(url, 1, length(?1)) = ?1 ORDER BY last_serial DESC LIMIT 1
  )
)
-- name: touch_response
UPDATE responses SET fetched_at = ?, fresh_until = ? WHERE url = ?
-- What was missing: an upstream's before a time, and all but so many of the newest.
-- name: forget_absences
DELETE FROM responses WHERE status IN (404, 410) AND upstream = ?1 AND fetched_at < max(?2, coalesce((
  SELECT fetched_at FROM responses WHERE status IN (404, 410) AND upstream = ?1
  ORDER BY fetched_at DESC LIMIT 1 OFFSET ?3 - 1
), 0))
-- name: forget_all_absences
DELETE FROM responses WHERE status IN (404, 410) AND fetched_at < ?
-- name: forget_responses_below
DELETE FROM responses WHERE url >= ?1 AND url < ?1 || char(1114111)
-- The projects that were decoded from some answers, or have been from another one until now.
-- name: projects_of_urls
SELECT id, upstream, name, url FROM projects WHERE url IN (SELECT value FROM json_each(?))
-- name: projects_named
SELECT id, name, url FROM projects WHERE upstream = ? AND name IN (SELECT value FROM json_each(?))
-- What pages of an upstream said while it had another URL.
-- name: projects_elsewhere
SELECT id FROM projects WHERE upstream = ? AND substr(url, 1, length(?)) <> ?
-- name: forget_project
DELETE FROM projects WHERE id = ?
-- name: forget_files
DELETE FROM listed_files WHERE id BETWEEN ?1 * 16777216 AND ?1 * 16777216 + 16777215
-- name: forget_releases
DELETE FROM listed_releases WHERE project_id = ?
-- name: newest_project
SELECT coalesce(max(id), 0) FROM projects
-- name: keep_project
INSERT INTO projects (id, upstream, name, status, status_reason, last_serial, dropped, url, releases, files, file_bytes,
  first_upload, last_upload)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
-- name: keep_file
INSERT INTO listed_files (id, filename, version, kind, url, sha256, blake2b_256, size, upload_time, requires_python,
  yanked, core_metadata, provenance)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
-- name: keep_release
INSERT INTO listed_releases (project_id, version, files, yanked_files, file_bytes, first_upload)
VALUES (?, ?, ?, ?, ?, ?)

-- The whole catalog --------------------------------------------------------------------------------------------------

-- What is kept at some URLs, without the bodies or what stands behind them in a row; the serial of the page, where it
-- has told one.
-- name: kept_heads
SELECT responses.url, responses.status, responses.etag, responses.last_modified,
  coalesce(projects.last_serial, responses.serial), projects.id IS NOT NULL OR descriptions.url IS NOT NULL
FROM responses
LEFT JOIN projects ON projects.url = responses.url
LEFT JOIN descriptions ON descriptions.url = responses.url
WHERE responses.url IN (SELECT value FROM json_each(?))
-- name: forget_description
DELETE FROM descriptions WHERE upstream = ? AND project = ?
-- name: descriptions_of_urls
SELECT upstream, project, url FROM descriptions WHERE url IN (SELECT value FROM json_each(?))
-- name: forget_classifiers
DELETE FROM classifiers WHERE upstream = ? AND project = ?
-- name: forget_requirements
DELETE FROM requirements WHERE key = ?
-- What upstreams said of a file: their keys are its key, a blank and the upstream.
-- name: forget_said_requirements
DELETE FROM requirements WHERE key > ?1 || ' ' AND key < ?1 || '!'
-- name: keep_description
INSERT INTO descriptions (upstream, project, url, version, summary, author, author_email, maintainer, maintainer_email,
  license, license_expression, keywords, home_page, requires_python, project_urls)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
-- name: keep_classifier
INSERT OR IGNORE INTO classifiers (upstream, project, classifier) VALUES (?, ?, ?)
-- name: keep_requirement
INSERT OR REPLACE INTO requirements (required, project, version, key, position, requirement, extras, specifier, marker,
  is_build, is_described)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
-- name: description
SELECT version, summary, author, author_email, maintainer, maintainer_email, license, license_expression, keywords,
  home_page, requires_python, project_urls, url
FROM descriptions WHERE upstream = ? AND project = ?
-- name: classifiers
SELECT classifier FROM classifiers WHERE upstream = ? AND project = ? ORDER BY classifier
-- name: described_requirements
SELECT requirement FROM requirements WHERE key = ? AND is_described = 1 ORDER BY position
-- What requires a project, as far as an upstream (?2, with documents below ?3) or the bytes themselves say it; NULL:
-- whoever says it. A description counts only where nothing is known of that release from core metadata.
-- name: requiring
WITH believed AS NOT MATERIALIZED (
  SELECT * FROM requirements WHERE ?2 IS NULL OR CASE
    WHEN is_described THEN substr(key, 1, length(?3)) = ?3
    ELSE instr(key, ' ') = 0 OR substr(key, instr(key, ' ') + 1) = ?2
  END
)
SELECT DISTINCT project, version, required, requirement, extras, specifier, marker, is_build, is_described
FROM believed AS one
WHERE required = ?1 AND (is_described = 0 OR NOT EXISTS (
  SELECT 1 FROM believed AS other
  WHERE other.project = one.project AND other.version = one.version AND other.is_described = 0
))
ORDER BY project, version, required, requirement, is_build
-- Each name once, by going from one to the next: there are far fewer of them than rows.
-- name: required_names
WITH RECURSIVE names (required) AS (
  SELECT min(required) FROM requirements
  UNION ALL
  SELECT (SELECT min(one.required) FROM requirements AS one WHERE one.required > names.required) FROM names
  WHERE names.required IS NOT NULL
)
SELECT required FROM names WHERE required IS NOT NULL
-- What a project requires, in one of its releases or in any; likewise.
-- name: required_by
WITH believed AS NOT MATERIALIZED (
  SELECT * FROM requirements WHERE ?2 IS NULL OR CASE
    WHEN is_described THEN substr(key, 1, length(?3)) = ?3
    ELSE instr(key, ' ') = 0 OR substr(key, instr(key, ' ') + 1) = ?2
  END
)
SELECT DISTINCT project, version, required, requirement, extras, specifier, marker, is_build, is_described
FROM believed AS one
WHERE project = ?1 AND (?4 IS NULL OR version = ?4) AND (is_described = 0 OR NOT EXISTS (
  SELECT 1 FROM believed AS other
  WHERE other.project = one.project AND other.version = one.version AND other.is_described = 0
))
ORDER BY project, version, required, requirement, is_build
-- Whether a page of a project was read, from whatever upstream, or an index hosts it.
-- name: is_known_project
SELECT EXISTS (SELECT 1 FROM projects WHERE name = ?1) OR EXISTS (SELECT 1 FROM hosted_projects WHERE name = ?1)
-- The releases of some projects that a mirror has chosen.
-- name: releases_among
SELECT DISTINCT releases.project, releases.version FROM json_each(?1) AS wanted
JOIN states ON states.index_name = ?2 AND states.project = wanted.value AND states.is_gone = 0
JOIN releases ON releases.state = states.number
-- What is known of an upstream: projects, releases, files, their bytes, and the first and last upload.
-- name: counted_upstream
SELECT count(*), coalesce(sum(releases), 0), coalesce(sum(files), 0), coalesce(sum(file_bytes), 0), min(first_upload),
  max(last_upload)
FROM projects WHERE upstream = ?

-- Core metadata ------------------------------------------------------------------------------------------------------

-- What the bytes themselves say ('*'), else what that upstream does.
-- name: metadata
SELECT decoded FROM metadata WHERE key = ? AND upstream IN ('*', ?) ORDER BY upstream <> '*' LIMIT 1
-- The same of many; the one that counts comes last.
-- name: metadata_of
SELECT key, decoded FROM metadata WHERE key IN (SELECT value FROM json_each(?)) AND upstream IN ('*', ?)
ORDER BY upstream = '*'
-- name: keep_metadata
INSERT INTO metadata (key, upstream, project, version, requires_python, source, is_lower_bound, decoded, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key, upstream) DO UPDATE SET project = excluded.project, version = excluded.version,
  requires_python = excluded.requires_python, source = excluded.source, is_lower_bound = excluded.is_lower_bound,
  decoded = excluded.decoded, body = excluded.body

-- name: size
SELECT size FROM sizes WHERE sha256 = ? AND upstream = ?
-- name: keep_size
INSERT INTO sizes (sha256, upstream, size) VALUES (?, ?, ?)
ON CONFLICT (sha256, upstream) DO UPDATE SET size = excluded.size

-- Capabilities -------------------------------------------------------------------------------------------------------

-- name: capability
SELECT is_offered FROM capabilities WHERE upstream = ? AND name = ? AND found_at BETWEEN ? AND ?
-- name: keep_capability
INSERT INTO capabilities (upstream, name, is_offered, found_at) VALUES (?, ?, ?, ?)
ON CONFLICT (upstream, name) DO UPDATE SET is_offered = excluded.is_offered, found_at = excluded.found_at

-- Following ----------------------------------------------------------------------------------------------------------

-- name: followed
SELECT way, serial, revision, projects, asked_at, listed_at, fresh_until, etag, last_modified, digest, behind_since
FROM followed WHERE upstream = ?
-- name: keep_followed
INSERT INTO followed (upstream, way, serial, revision, projects, asked_at, listed_at, fresh_until, etag, last_modified,
  digest, behind_since)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (upstream) DO UPDATE SET way = excluded.way, serial = excluded.serial, revision = excluded.revision,
  projects = excluded.projects, asked_at = excluded.asked_at, listed_at = excluded.listed_at,
  fresh_until = excluded.fresh_until, etag = excluded.etag, last_modified = excluded.last_modified,
  digest = excluded.digest, behind_since = excluded.behind_since
-- name: followed_id
SELECT id FROM followed WHERE upstream = ?
-- The first list of an upstream, which may have hundreds of thousands of rows: an object of names and serials at a time.
-- name: keep_first_listed
INSERT INTO listed (followed_id, name, serial, revision) SELECT ?, key, value, 0 FROM json_each(?) WHERE TRUE
ON CONFLICT DO NOTHING
-- name: keep_listed
INSERT INTO listed (followed_id, name, serial, revision, missing_since, misses, seen_at, is_gone)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (followed_id, name) DO UPDATE SET serial = excluded.serial, revision = excluded.revision,
  missing_since = excluded.missing_since, misses = excluded.misses, seen_at = excluded.seen_at,
  is_gone = excluded.is_gone
-- What a new list is compared with, piece by piece.
-- name: listed_pairs
SELECT name, serial FROM listed
WHERE followed_id = ? AND name > ? AND name <= ? AND missing_since IS NULL AND is_gone = 0 ORDER BY name
-- name: listed_projects
SELECT name, serial, revision, missing_since, misses, seen_at, is_gone FROM listed
WHERE followed_id = ? AND name > ? AND is_gone = 0 ORDER BY name LIMIT ?
-- name: listed_of
SELECT name, serial, revision, missing_since, misses, seen_at, is_gone FROM listed
WHERE followed_id = ? AND name IN (SELECT value FROM json_each(?)) ORDER BY name
-- name: listed_missing
SELECT name, serial, revision, missing_since, misses, seen_at, is_gone FROM listed
WHERE followed_id = ? AND missing_since IS NOT NULL AND is_gone = 0 ORDER BY name
-- The index over revisions has none of the first list.
-- name: listed_changes
SELECT name, serial, revision, missing_since, misses, seen_at, is_gone FROM listed
WHERE followed_id = ? AND revision > max(?, 0) AND revision > 0 ORDER BY revision, name
-- name: todo
SELECT project, code, error, attempts, first_at, tried_at, next_at, required_serial, is_accepted
FROM todo WHERE index_name = ? ORDER BY project
-- name: keep_todo
INSERT INTO todo (index_name, project, code, error, attempts, first_at, tried_at, next_at, required_serial, is_accepted)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (index_name, project) DO UPDATE SET code = excluded.code, error = excluded.error,
  attempts = excluded.attempts, first_at = excluded.first_at, tried_at = excluded.tried_at, next_at = excluded.next_at,
  required_serial = excluded.required_serial, is_accepted = excluded.is_accepted
-- name: settle_todo
DELETE FROM todo WHERE index_name = ? AND project = ?

-- Holdings -----------------------------------------------------------------------------------------------------------

-- name: holdings
SELECT identity, filename, sha256, blake2b_256, size, metadata_sha256 FROM holdings ORDER BY identity
-- name: holdings_after
SELECT identity, filename, sha256, blake2b_256, size, metadata_sha256 FROM holdings
WHERE identity > ? ORDER BY identity LIMIT ?
-- name: holdings_of
SELECT identity, filename, sha256, blake2b_256, size, metadata_sha256 FROM holdings
WHERE identity IN (SELECT value FROM json_each(?))
-- Every holding with one of some file names: identities begin with them.
-- name: holdings_named
SELECT holdings.identity, filename, sha256, blake2b_256, size, metadata_sha256 FROM json_each(?) AS wanted
CROSS JOIN holdings ON holdings.identity >= wanted.value || '#' AND holdings.identity < wanted.value || '$'
-- name: record_holding
INSERT INTO holdings (identity, project, filename, sha256, blake2b_256, size, metadata_sha256, stored_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (identity) DO UPDATE SET project = excluded.project, filename = excluded.filename, sha256 = excluded.sha256,
  blake2b_256 = excluded.blake2b_256, size = excluded.size, metadata_sha256 = excluded.metadata_sha256,
  stored_at = excluded.stored_at
-- name: last_readings
SELECT identity, read_at FROM readings
-- name: oldest_reading
SELECT min(read_at) FROM readings
-- name: note_reading
INSERT INTO readings (identity, read_at) SELECT identity, ?1 FROM holdings WHERE identity = ?2
ON CONFLICT (identity) DO UPDATE SET read_at = excluded.read_at
-- name: forget_holding
DELETE FROM holdings WHERE identity = ?

-- Origins ------------------------------------------------------------------------------------------------------------

-- Those that count for an index: its own, of its upstream, of those that are named; and what was found in the store.
-- name: admitted_origins
SELECT id FROM origins WHERE index_name = ''
OR (credentials IN ('', ?2) AND (upstream = ?1 OR index_name IN (SELECT value FROM json_each(?3))))
-- name: keep_origin
INSERT INTO origins (index_name, upstream, credentials) VALUES (?, ?, ?) ON CONFLICT DO NOTHING
-- name: origin
SELECT id FROM origins WHERE index_name = ? AND upstream = ? AND credentials = ?
-- name: keep_came
INSERT INTO came (identity, origin) VALUES (?, ?) ON CONFLICT DO NOTHING
-- Every holding that came from one of some origins.
-- name: own_holdings
SELECT identity, filename, sha256, blake2b_256, size, metadata_sha256 FROM holdings
WHERE EXISTS (
  SELECT 1 FROM came WHERE came.identity = holdings.identity AND origin IN (SELECT value FROM json_each(?))
)
ORDER BY identity
-- name: own_holdings_of
SELECT identity, filename, sha256, blake2b_256, size, metadata_sha256 FROM holdings
WHERE identity IN (SELECT value FROM json_each(?1)) AND EXISTS (
  SELECT 1 FROM came WHERE came.identity = holdings.identity AND origin IN (SELECT value FROM json_each(?2))
)

-- Generations --------------------------------------------------------------------------------------------------------

-- name: current_generation
SELECT number, index_name, started_at, finished_at, is_amended FROM generations
WHERE index_name = ? AND finished_at IS NOT NULL ORDER BY number DESC LIMIT 1
-- name: published_indexes
SELECT DISTINCT index_name FROM generations WHERE finished_at IS NOT NULL ORDER BY index_name
-- name: unfinished_generation
SELECT number FROM generations WHERE index_name = ? AND finished_at IS NULL LIMIT 1
-- Only the current and the unfinished generations have rows; what a proxy keeps or somebody uploaded is listed, too.
-- name: listed_identities
SELECT identity FROM selected WHERE state IN (SELECT number FROM states WHERE index_name IS NOT ?)
UNION SELECT identity FROM cached
UNION SELECT identity FROM hosted_files
-- Those of a list of identities.
-- name: listed_among
SELECT selected.identity FROM json_each(?2) AS wanted
  CROSS JOIN selected ON selected.identity = wanted.value
  CROSS JOIN states ON states.number = selected.state AND states.index_name IS NOT ?1
UNION SELECT identity FROM cached WHERE identity IN (SELECT value FROM json_each(?2))
UNION SELECT identity FROM hosted_files WHERE identity IN (SELECT value FROM json_each(?2))
-- Those of a list of identities that one index names in its current generation.
-- name: named_among
SELECT selected.identity FROM json_each(?3) AS wanted
  CROSS JOIN selected ON selected.identity = wanted.value
  CROSS JOIN states ON states.number = selected.state AND states.index_name = ?1 AND states.generation <= ?2
-- name: served_names
SELECT project FROM spans AS chosen
WHERE index_name = (SELECT index_name FROM generations WHERE number = ?1)
  AND generation <= ?1 AND coalesce(until, ?1 + 1) > ?1 AND status IS NOT NULL
  AND EXISTS (
    SELECT 1 FROM selected JOIN came USING (identity)
    WHERE selected.state = chosen.number AND origin IN (SELECT value FROM json_each(?2))
  )
ORDER BY project
-- name: served_facts
SELECT number, status, status_reason FROM spans
WHERE index_name = (SELECT index_name FROM generations WHERE number = ?1) AND project = ?2
  AND generation <= ?1 AND coalesce(until, ?1 + 1) > ?1 AND status IS NOT NULL
-- The number of files of the page, whoever may have them.
-- name: served_length
SELECT held_files FROM spans
WHERE index_name = (SELECT index_name FROM generations WHERE number = ?1) AND project = ?2
  AND generation <= ?1 AND coalesce(until, ?1 + 1) > ?1 AND status IS NOT NULL
-- name: served_files
SELECT selected.file, holdings.filename, holdings.sha256, holdings.blake2b_256, holdings.size, holdings.metadata_sha256
FROM selected JOIN holdings USING (identity)
WHERE selected.state = ?1 AND EXISTS (
  SELECT 1 FROM came WHERE came.identity = holdings.identity AND origin IN (SELECT value FROM json_each(?2))
)
ORDER BY selected.release, selected.position
-- Names after one, so many at most, of projects with a file that is held.
-- name: listed_mirror
SELECT project FROM spans AS chosen
WHERE index_name = (SELECT index_name FROM generations WHERE number = ?1) AND project > ?2
  AND generation <= ?1 AND coalesce(until, ?1 + 1) > ?1 AND status IS NOT NULL
  AND EXISTS (SELECT 1 FROM selected JOIN holdings USING (identity) WHERE selected.state = chosen.number)
ORDER BY project LIMIT ?3
-- The projects, files and bytes of the current generation that are held; of each project it has the oldest row. To read
-- the table in its own order takes less time than to look up most of its rows.
-- name: counted_mirror
SELECT coalesce(sum(held_files > 0), 0), coalesce(sum(held_files), 0), coalesce(sum(held_bytes), 0)
FROM states NOT INDEXED
WHERE index_name = (SELECT index_name FROM generations WHERE number = ?1) AND generation <= ?1
-- The projects, releases, files and bytes that the current generation names, and what of them is held.
-- name: tally
SELECT coalesce(sum(files > 0), 0), coalesce(sum(files > 0 AND held_files >= files), 0), coalesce(sum(releases), 0),
  coalesce(sum(files), 0), coalesce(sum(file_bytes), 0), coalesce(sum(held_files), 0), coalesce(sum(held_bytes), 0)
FROM states NOT INDEXED WHERE index_name = ?1 AND generation <= ?2
-- The files that the current generation names and that are not held, of projects after one, so many at most.
-- name: unheld_files
SELECT states.project, selected.version, selected.filename, selected.size
FROM states JOIN selected ON selected.state = states.number
WHERE states.index_name = ?1 AND states.generation <= ?2 AND states.held_files < states.files
  AND NOT EXISTS (SELECT 1 FROM holdings WHERE holdings.identity = selected.identity)
ORDER BY states.project, selected.release, selected.position LIMIT ?3
-- The projects that an index has something of, after one and so many at most.
-- name: chosen_names
SELECT project FROM states WHERE index_name = ? AND project > ? AND is_gone = 0 ORDER BY project LIMIT ?
-- What was asked for by name and certainly cannot be had.
-- name: certain_problems
SELECT problems.project, requirement, reason, chain, environments, is_root, kind, is_certain
FROM problems CROSS JOIN states ON states.number = problems.state
WHERE is_certain = 1 AND index_name = ? AND generation <= ?
-- name: generation
SELECT index_name FROM generations WHERE number = ?
-- name: drop_unfinished_states
DELETE FROM states
WHERE generation IN (SELECT number FROM generations WHERE index_name = ? AND finished_at IS NULL)
-- name: drop_unfinished_generations
DELETE FROM generations WHERE index_name = ? AND finished_at IS NULL
-- name: unfinished_projects
SELECT project FROM states
WHERE generation IN (SELECT number FROM generations WHERE index_name = ? AND finished_at IS NULL) AND project <> ''
ORDER BY project
-- name: begin_generation
INSERT INTO generations (index_name, started_at, is_amended) VALUES (?, ?, ?)
-- name: finish_generation
UPDATE generations SET finished_at = ? WHERE number = ?
-- Of each project that the generation has anew, what was before. CROSS JOIN, here and below: from left to right.
-- name: drop_replaced_states
DELETE FROM states WHERE number IN (
  SELECT older.number FROM states AS newer
  CROSS JOIN states AS older ON older.index_name = newer.index_name AND older.project = newer.project
    AND older.generation < newer.generation
  WHERE newer.generation = ?
)
-- name: drop_gone_states
DELETE FROM states WHERE generation = ? AND is_gone = 1
-- name: drop_older_generations
DELETE FROM generations WHERE index_name = ? AND number < ?
-- What an index has now, by project: no unfinished generation is there when this is asked.
-- name: known_states
SELECT project, digest FROM states WHERE index_name = ?
-- name: known_states_among
SELECT project, digest FROM states WHERE index_name = ? AND project IN (SELECT value FROM json_each(?))
-- name: begin_state
INSERT INTO states (index_name, project, generation, status, status_reason, digest, is_gone)
VALUES (?, ?, ?, ?, ?, ?, ?)
-- name: choose_release
INSERT INTO releases (state, position, project, version) VALUES (?, ?, ?, ?)
-- name: choose_file
INSERT INTO selected (state, release, position, version, filename, identity, url, sha256, size, file)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
-- name: give_reason
INSERT INTO reasons (state, release, position, project, version, origin, parent_project, parent_version,
  requirement, environments, is_build, shares)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
-- name: name_problem
INSERT INTO problems (state, position, project, requirement, reason, chain, environments, is_root, kind, is_certain)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
-- name: give_warning
INSERT INTO warnings (state, position, warning) VALUES (?, ?, ?)
-- What an index has in a generation, of all projects and in their order.
-- name: chosen_states
SELECT number, project, status, status_reason FROM spans
WHERE index_name = ?1 AND generation <= ?2 AND coalesce(until, ?2 + 1) > ?2 ORDER BY project
-- name: chosen_releases
SELECT state, releases.project, version FROM spans JOIN releases ON state = number
WHERE index_name = ?1 AND generation <= ?2 AND coalesce(until, ?2 + 1) > ?2 ORDER BY spans.project, position
-- name: chosen_files
SELECT state, release, file FROM spans JOIN selected ON state = number
WHERE index_name = ?1 AND generation <= ?2 AND coalesce(until, ?2 + 1) > ?2 ORDER BY spans.project, release, position
-- name: chosen_reasons
SELECT state, release, origin, parent_project, parent_version, requirement, environments, is_build, shares
FROM spans JOIN reasons ON state = number
WHERE index_name = ?1 AND generation <= ?2 AND coalesce(until, ?2 + 1) > ?2 ORDER BY spans.project, release, position
-- name: chosen_problems
SELECT state, problems.project, requirement, reason, chain, environments, is_root, kind, is_certain
FROM spans JOIN problems ON state = number
WHERE index_name = ?1 AND generation <= ?2 AND coalesce(until, ?2 + 1) > ?2 ORDER BY spans.project, position
-- name: chosen_warnings
SELECT state, warning FROM spans JOIN warnings ON state = number
WHERE index_name = ?1 AND generation <= ?2 AND coalesce(until, ?2 + 1) > ?2 ORDER BY spans.project, position
-- name: held_releases
SELECT state, releases.position, releases.project, version,
  (SELECT count(*) FROM selected WHERE selected.state = number AND selected.release = releases.position)
FROM spans JOIN releases ON state = number
WHERE index_name = ?1 AND generation <= ?2 AND coalesce(until, ?2 + 1) > ?2 ORDER BY spans.project, releases.position
-- name: state_of_project
SELECT number, project, status, status_reason FROM spans
WHERE index_name = ?1 AND generation <= ?2 AND coalesce(until, ?2 + 1) > ?2 AND project = ?3
-- name: states_after
SELECT number, project, status, status_reason FROM spans
WHERE index_name = ?1 AND generation <= ?2 AND coalesce(until, ?2 + 1) > ?2 AND project > ?3 ORDER BY project LIMIT ?4
-- The rows of some states, whose numbers are given as a list.
-- name: releases_of_states
SELECT state, project, version FROM releases
WHERE state IN (SELECT value FROM json_each(?)) ORDER BY state, position
-- name: files_of_states
SELECT state, release, file FROM selected
WHERE state IN (SELECT value FROM json_each(?)) ORDER BY state, release, position
-- name: reasons_of_states
SELECT state, release, origin, parent_project, parent_version, requirement, environments, is_build, shares
FROM reasons WHERE state IN (SELECT value FROM json_each(?)) ORDER BY state, release, position
-- name: problems_of_states
SELECT state, project, requirement, reason, chain, environments, is_root, kind, is_certain
FROM problems WHERE state IN (SELECT value FROM json_each(?)) ORDER BY state, position
-- name: warnings_of_states
SELECT state, warning FROM warnings WHERE state IN (SELECT value FROM json_each(?)) ORDER BY state, position

-- Published ----------------------------------------------------------------------------------------------------------

-- name: page_digests
SELECT project, digest FROM published_pages WHERE index_name = ? ORDER BY project
-- name: page_digests_of
SELECT project, digest FROM published_pages
WHERE index_name = ? AND project IN (SELECT value FROM json_each(?))
-- The projects after one that have a page, so many at most; one that is about to lose it has an empty digest.
-- name: published_names
SELECT project FROM published_pages WHERE index_name = ? AND project > ? AND digest <> '' ORDER BY project LIMIT ?
-- name: leaving_names
SELECT project FROM published_pages WHERE index_name = ? AND digest = '' ORDER BY project
-- name: list_digest
SELECT digest FROM published_lists WHERE index_name = ?
-- name: keep_list_digest
INSERT INTO published_lists (index_name, digest) VALUES (?, ?)
ON CONFLICT (index_name) DO UPDATE SET digest = excluded.digest
-- name: forget_list_digest
DELETE FROM published_lists WHERE index_name = ?
-- name: keep_page_digest
INSERT INTO published_pages (index_name, project, digest) VALUES (?, ?, ?)
ON CONFLICT (index_name, project) DO UPDATE SET digest = excluded.digest
-- name: forget_page_digest
DELETE FROM published_pages WHERE index_name = ? AND project = ?
-- name: removals
SELECT identity, project, since FROM removals WHERE index_name = ? ORDER BY identity
-- name: keep_removal
INSERT INTO removals (index_name, identity, project, since) VALUES (?, ?, ?, ?)
ON CONFLICT (index_name, identity) DO UPDATE SET project = excluded.project, since = excluded.since
-- name: settle_removal
DELETE FROM removals WHERE index_name = ? AND identity = ?

-- Walks --------------------------------------------------------------------------------------------------------------

-- name: walk
SELECT digest, upstream, since, until, after, is_ended FROM walks WHERE index_name = ?
-- name: keep_walk
INSERT INTO walks (index_name, digest, upstream, since, until, after, is_ended) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (index_name) DO UPDATE SET digest = excluded.digest, upstream = excluded.upstream, since = excluded.since,
  until = excluded.until, after = excluded.after, is_ended = excluded.is_ended
-- name: revisits_due
SELECT project FROM revisits WHERE index_name = ? AND due_at <= ? ORDER BY project
-- name: keep_revisit
INSERT INTO revisits (index_name, project, due_at) VALUES (?, ?, ?)
ON CONFLICT (index_name, project) DO UPDATE SET due_at = excluded.due_at
-- name: forget_revisit
DELETE FROM revisits WHERE index_name = ? AND project = ?

-- Runs ---------------------------------------------------------------------------------------------------------------

-- name: begin_run
INSERT INTO runs (command, index_name, started_at, summary) VALUES (?, ?, ?, '')
-- name: run
SELECT number FROM runs WHERE number = ?
-- name: finish_run
UPDATE runs SET finished_at = ?, outcome = ?, summary = ? WHERE number = ?
-- name: last_run
SELECT number, command, index_name, started_at, finished_at, outcome, summary FROM runs
WHERE index_name = ? AND finished_at IS NOT NULL ORDER BY number DESC LIMIT 1
-- name: newest_outcome
SELECT outcome FROM runs WHERE index_name = ? ORDER BY number DESC LIMIT 1
-- name: finding
SELECT digest, consulted, total_files, total_bytes FROM findings WHERE index_name = ?
-- name: keep_finding
INSERT INTO findings (index_name, digest, consulted, total_files, total_bytes) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (index_name) DO UPDATE SET digest = excluded.digest, consulted = excluded.consulted,
  total_files = excluded.total_files, total_bytes = excluded.total_bytes
-- name: forget_finding
DELETE FROM findings WHERE index_name = ?

-- Plans --------------------------------------------------------------------------------------------------------------

-- name: knowledge
SELECT version FROM knowledge
-- name: plan
SELECT request, inputs, version, fresh_until, answer FROM plans WHERE index_name = ?
-- name: keep_plan
INSERT INTO plans (index_name, request, inputs, version, fresh_until, answer) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (index_name) DO UPDATE SET request = excluded.request, inputs = excluded.inputs, version = excluded.version,
  fresh_until = excluded.fresh_until, answer = excluded.answer

-- Access -------------------------------------------------------------------------------------------------------------

-- name: user
SELECT name, password_hash, created_at, changed_at FROM users WHERE name = ?
-- name: users
SELECT name, password_hash, created_at, changed_at FROM users ORDER BY name
-- name: keep_user
INSERT INTO users (name, password_hash, created_at, changed_at) VALUES (?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET password_hash = excluded.password_hash, changed_at = excluded.changed_at
-- name: remove_user
DELETE FROM users WHERE name = ?
-- name: token
SELECT id, secret_sha256, user_name, label, indexes, projects, actions, created_at, expires_at, revoked_at, used_at, proof
FROM tokens WHERE id = ?
-- name: tokens
SELECT id, secret_sha256, user_name, label, indexes, projects, actions, created_at, expires_at, revoked_at, used_at, proof
FROM tokens ORDER BY created_at, id
-- name: token_of_proof
SELECT id FROM tokens WHERE proof = ?
-- name: keep_token
INSERT INTO tokens (id, secret_sha256, user_name, label, indexes, projects, actions, created_at, expires_at, revoked_at,
  used_at, proof)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
-- name: forget_proven_tokens
DELETE FROM tokens WHERE proof IS NOT NULL AND expires_at < ?
-- name: revoke_token
UPDATE tokens SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?
-- name: note_use
UPDATE tokens SET used_at = max(coalesce(used_at, 0), ?) WHERE id = ?
-- name: has_accounts
SELECT EXISTS (SELECT 1 FROM users) OR EXISTS (SELECT 1 FROM tokens)

-- Cached -------------------------------------------------------------------------------------------------------------

-- name: held_of_project
SELECT identity, filename, sha256, blake2b_256, size, metadata_sha256 FROM holdings
WHERE project = ?1 AND EXISTS (
  SELECT 1 FROM came WHERE came.identity = holdings.identity AND origin IN (SELECT value FROM json_each(?2))
)
-- name: keep_cached
INSERT INTO cached (index_name, identity, project, filename, size, used_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (index_name, identity) DO UPDATE SET project = excluded.project, filename = excluded.filename,
  size = excluded.size, used_at = max(used_at, excluded.used_at)
-- name: use_cached
UPDATE cached SET used_at = max(used_at, ?) WHERE index_name = ? AND identity = ?
-- name: listed_proxy
SELECT DISTINCT project FROM cached WHERE index_name = ? AND project > ? ORDER BY project LIMIT ?
-- name: counted_proxy
SELECT count(DISTINCT project), count(*), coalesce(sum(size), 0) FROM cached WHERE index_name = ?
-- name: cached_size
SELECT coalesce(sum(size), 0) FROM cached WHERE index_name = ?
-- name: oldest_cached
SELECT identity, project, filename, size, used_at FROM cached WHERE index_name = ? AND used_at < ?
ORDER BY used_at, identity
-- name: cached_projects
SELECT DISTINCT project FROM cached WHERE index_name = ? ORDER BY project
-- name: forget_cached
DELETE FROM cached WHERE index_name = ? AND identity = ?
-- name: held_file
SELECT filename, sha256, blake2b_256, size, metadata_sha256 FROM holdings WHERE identity = ?
-- name: sidecars
SELECT key, sha256 FROM sidecars WHERE upstream = ? AND key IN (SELECT value FROM json_each(?))
-- name: keep_sidecar
INSERT INTO sidecars (key, upstream, sha256) VALUES (?, ?, ?)
ON CONFLICT (key, upstream) DO UPDATE SET sha256 = excluded.sha256
-- name: sidecar
SELECT metadata.body FROM sidecars JOIN metadata USING (key, upstream)
WHERE sidecars.key = ? AND sidecars.upstream = ? AND sidecars.sha256 IS NOT NULL

-- Hosted -------------------------------------------------------------------------------------------------------------

-- name: hosted_projects
SELECT name, status, status_reason, serial FROM hosted_projects WHERE index_name = ? ORDER BY name
-- name: listed_hosted
SELECT name FROM hosted_projects WHERE index_name = ? AND name > ? AND status <> 'quarantined' ORDER BY name LIMIT ?
-- name: counted_hosted
SELECT (SELECT count(*) FROM hosted_projects WHERE index_name = ?1), count(*), coalesce(sum(size), 0)
FROM hosted_files WHERE index_name = ?1
-- name: hosted_project
SELECT name, status, status_reason, serial FROM hosted_projects WHERE index_name = ? AND name = ?
-- name: keep_hosted_project
INSERT INTO hosted_projects (index_name, name, status, status_reason, serial) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (index_name, name) DO UPDATE SET status = excluded.status, status_reason = excluded.status_reason,
  serial = excluded.serial
-- name: hosted_files
SELECT project, filename, version, sha256, blake2b_256, size, uploaded_at, uploaded_by, requires_python,
  metadata_sha256, is_yanked, yanked_reason, attestations
FROM hosted_files WHERE index_name = ? AND project = ? ORDER BY uploaded_at, filename
-- name: hosted_length
SELECT count(*) FROM hosted_files WHERE index_name = ? AND project = ?
-- name: hosted_file
SELECT project, filename, version, sha256, blake2b_256, size, uploaded_at, uploaded_by, requires_python,
  metadata_sha256, is_yanked, yanked_reason, attestations
FROM hosted_files WHERE index_name = ? AND filename = ?
-- name: keep_hosted_file
INSERT INTO hosted_files (index_name, project, filename, version, sha256, blake2b_256, size, uploaded_at, uploaded_by,
  requires_python, metadata_sha256, is_yanked, yanked_reason, attestations, identity)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
-- name: forget_hosted_file
DELETE FROM hosted_files WHERE index_name = ? AND filename = ?
-- name: yank_hosted_release
UPDATE hosted_files SET is_yanked = ?, yanked_reason = ? WHERE index_name = ? AND project = ? AND version = ?
-- name: hosted_tombstone
SELECT reason FROM hosted_tombstones WHERE index_name = ? AND filename = ?
-- name: hosted_tombstones
SELECT filename FROM hosted_tombstones WHERE index_name = ? AND project = ? ORDER BY filename
-- name: keep_hosted_tombstone
INSERT INTO hosted_tombstones (index_name, filename, project, sha256, deleted_at, reason) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (index_name, filename) DO UPDATE SET project = excluded.project, sha256 = excluded.sha256,
  deleted_at = excluded.deleted_at, reason = excluded.reason
-- name: forget_hosted_tombstone
DELETE FROM hosted_tombstones WHERE index_name = ? AND filename = ?
-- name: add_hosted_change
-- Never below the time, like epochs: so those of several indexes, which a group has side by side, can be compared.
INSERT INTO hosted_changes (serial, index_name, project, version, changed_at, action)
SELECT max(coalesce(max(serial), 0) + 1, CAST(?4 AS INTEGER)), ?1, ?2, ?3, ?4, ?5 FROM hosted_changes
-- name: hosted_changes
SELECT project, version, changed_at, action, serial FROM hosted_changes
WHERE index_name = ? AND serial > ? ORDER BY serial LIMIT ?
-- name: hosted_serial
SELECT coalesce(max(serial), 0) FROM hosted_changes WHERE index_name = ?

-- Salvage: of a damaged catalog, from one key up to another; read backwards, too, by the word DESC behind it ----------

-- name: salvage_holdings
SELECT identity, project, filename, sha256, blake2b_256, size, metadata_sha256, stored_at FROM holdings
WHERE identity >= ?1 AND identity < ?2 ORDER BY identity
-- name: salvage_cached
SELECT index_name, identity, project, filename, size, used_at FROM cached
WHERE index_name = ?3 AND identity >= ?1 AND identity < ?2 ORDER BY identity
-- name: salvage_hosted_projects
SELECT index_name, name, status, status_reason, serial FROM hosted_projects
WHERE index_name = ?3 AND name >= ?1 AND name < ?2 ORDER BY name
-- name: salvage_hosted_files
SELECT index_name, project, filename, version, sha256, blake2b_256, size, uploaded_at, uploaded_by, requires_python,
  metadata_sha256, is_yanked, yanked_reason, attestations, identity
FROM hosted_files WHERE index_name = ?3 AND filename >= ?1 AND filename < ?2 ORDER BY filename
-- name: salvage_hosted_tombstones
SELECT index_name, filename, project, sha256, deleted_at, reason FROM hosted_tombstones
WHERE index_name = ?3 AND filename >= ?1 AND filename < ?2 ORDER BY filename
-- name: salvage_hosted_changes
SELECT serial, index_name, project, version, changed_at, action FROM hosted_changes
WHERE serial >= ?1 AND serial < ?2 ORDER BY serial
-- name: salvage_users
SELECT rowid, name, password_hash, created_at, changed_at FROM users WHERE rowid >= ?1 AND rowid < ?2 ORDER BY rowid
-- name: salvage_tokens
SELECT rowid, id, secret_sha256, user_name, label, indexes, projects, actions, created_at, expires_at, revoked_at,
  used_at, proof
FROM tokens WHERE rowid >= ?1 AND rowid < ?2 ORDER BY rowid
-- name: salvage_removals
SELECT index_name, identity, project, since FROM removals
WHERE index_name = ?3 AND identity >= ?1 AND identity < ?2 ORDER BY identity
-- name: restore_hosted_change
INSERT INTO hosted_changes (serial, index_name, project, version, changed_at, action) VALUES (?, ?, ?, ?, ?, ?)
