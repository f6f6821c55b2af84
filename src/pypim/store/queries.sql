-- Every statement that pypim runs on the catalog; `sql.load_queries` reads them by name.

-- The connection -----------------------------------------------------------------------------------------------------

-- name: begin
BEGIN IMMEDIATE
-- name: commit
COMMIT
-- name: schema_version
PRAGMA user_version
-- name: quick_check
PRAGMA quick_check(20)
-- Readers never wait for the writer, nor it for them.
-- name: use_wal
PRAGMA journal_mode = WAL
-- name: enforce_references
PRAGMA foreign_keys = ON
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
  SELECT serial AS told FROM responses WHERE substr(url, 1, length(?)) = ?
  UNION ALL SELECT last_serial FROM projects WHERE substr(url, 1, length(?)) = ?
)
-- name: touch_response
UPDATE responses SET fetched_at = ?, fresh_until = ? WHERE url = ?
-- What an answer decoded to goes when its URL has a new answer.
-- name: forget_files_of_url
DELETE FROM files WHERE (upstream, project) IN (SELECT upstream, name FROM projects WHERE url = ?)
-- name: forget_project_of_url
DELETE FROM projects WHERE url = ?
-- What pages of an upstream said while it had another URL.
-- name: forget_files_elsewhere
DELETE FROM files WHERE upstream = ? AND project IN
  (SELECT name FROM projects WHERE upstream = ? AND substr(url, 1, length(?)) <> ?)
-- name: forget_projects_elsewhere
DELETE FROM projects WHERE upstream = ? AND substr(url, 1, length(?)) <> ?
-- name: forget_files_of_project
DELETE FROM files WHERE upstream = ? AND project = ?
-- name: keep_project
INSERT INTO projects (upstream, name, status, status_reason, last_serial, dropped, url) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (upstream, name) DO UPDATE SET status = excluded.status, status_reason = excluded.status_reason,
  last_serial = excluded.last_serial, dropped = excluded.dropped, url = excluded.url
-- name: keep_file
INSERT INTO files (upstream, project, filename, version, kind, url, sha256, blake2b_256, size, upload_time,
  requires_python, is_yanked, yanked_reason, core_metadata, provenance, position)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- Core metadata ------------------------------------------------------------------------------------------------------

-- name: metadata
SELECT decoded FROM metadata WHERE key = ?
-- name: metadata_of
SELECT key, decoded FROM metadata WHERE key IN (SELECT value FROM json_each(?))
-- name: keep_metadata
INSERT INTO metadata (key, project, version, requires_python, source, is_lower_bound, decoded, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET project = excluded.project, version = excluded.version,
  requires_python = excluded.requires_python, source = excluded.source, is_lower_bound = excluded.is_lower_bound,
  decoded = excluded.decoded, body = excluded.body

-- name: size
SELECT size FROM sizes WHERE sha256 = ?
-- name: keep_size
INSERT INTO sizes (sha256, size) VALUES (?, ?) ON CONFLICT (sha256) DO UPDATE SET size = excluded.size

-- Capabilities -------------------------------------------------------------------------------------------------------

-- name: capability
SELECT is_offered FROM capabilities WHERE upstream = ? AND name = ? AND found_at >= ?
-- name: keep_capability
INSERT INTO capabilities (upstream, name, is_offered, found_at) VALUES (?, ?, ?, ?)
ON CONFLICT (upstream, name) DO UPDATE SET is_offered = excluded.is_offered, found_at = excluded.found_at

-- Holdings -----------------------------------------------------------------------------------------------------------

-- name: holdings
SELECT identity, filename, sha256, blake2b_256, size, metadata_sha256 FROM holdings ORDER BY identity
-- name: record_holding
INSERT INTO holdings (identity, project, filename, sha256, blake2b_256, size, metadata_sha256, stored_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (identity) DO UPDATE SET project = excluded.project, filename = excluded.filename, sha256 = excluded.sha256,
  blake2b_256 = excluded.blake2b_256, size = excluded.size, metadata_sha256 = excluded.metadata_sha256,
  stored_at = excluded.stored_at
-- name: forget_holding
DELETE FROM holdings WHERE identity = ?

-- Generations --------------------------------------------------------------------------------------------------------

-- name: current_generation
SELECT number, index_name, started_at, finished_at FROM generations
WHERE index_name = ? AND finished_at IS NOT NULL ORDER BY number DESC LIMIT 1
-- name: unfinished_generation
SELECT number FROM generations WHERE index_name = ? AND finished_at IS NULL LIMIT 1
-- Only the current and the unfinished generations have rows; what a proxy keeps or somebody uploaded is listed, too.
-- name: listed_identities
SELECT DISTINCT identity FROM selected
WHERE generation IN (SELECT number FROM generations WHERE index_name IS NOT ?)
UNION SELECT identity FROM cached
UNION SELECT identity FROM hosted_files
-- name: served_names
SELECT name FROM selected_projects AS chosen
WHERE generation = ?1 AND EXISTS (
  SELECT 1 FROM selected JOIN holdings USING (identity)
  WHERE selected.generation = ?1 AND selected.project = chosen.name
)
ORDER BY name
-- name: served_facts
SELECT status, status_reason FROM selected_projects WHERE generation = ? AND name = ?
-- name: served_files
SELECT selected.file, holdings.filename, holdings.sha256, holdings.blake2b_256, holdings.size, holdings.metadata_sha256
FROM selected JOIN holdings USING (identity)
WHERE selected.generation = ? AND selected.project = ? ORDER BY selected.release, selected.position
-- Names after one, so many at most, of projects with a file that is held.
-- name: listed_mirror
SELECT name FROM selected_projects AS chosen
WHERE generation = ?1 AND name > ?2 AND EXISTS (
  SELECT 1 FROM selected JOIN holdings USING (identity)
  WHERE selected.generation = ?1 AND selected.project = chosen.name
)
ORDER BY name LIMIT ?3
-- The projects, files and bytes of a generation that are held.
-- name: counted_mirror
SELECT count(DISTINCT selected.project), count(*), coalesce(sum(holdings.size), 0)
FROM selected JOIN holdings USING (identity) WHERE selected.generation = ?
-- name: generation
SELECT number FROM generations WHERE number = ?
-- name: drop_unfinished_generations
DELETE FROM generations WHERE index_name = ? AND finished_at IS NULL
-- name: begin_generation
INSERT INTO generations (index_name, started_at) VALUES (?, ?)
-- name: finish_generation
UPDATE generations SET finished_at = ? WHERE number = ?
-- name: drop_older_generations
DELETE FROM generations WHERE index_name = ? AND number < ?
-- name: choose_release
INSERT INTO releases (generation, position, project, version) VALUES (?, ?, ?, ?)
-- name: choose_file
INSERT INTO selected (generation, release, position, project, version, filename, identity, url, sha256, size, file)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
-- name: give_reason
INSERT INTO reasons (generation, release, position, project, version, origin, parent_project, parent_version,
  requirement, environments, is_build, shares)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
-- name: choose_project
INSERT INTO selected_projects (generation, position, name, status, status_reason) VALUES (?, ?, ?, ?, ?)
-- name: name_problem
INSERT INTO problems (generation, position, project, requirement, reason, chain, environments, is_root, kind, is_certain)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
-- name: give_warning
INSERT INTO warnings (generation, position, warning) VALUES (?, ?, ?)
-- name: chosen_releases
SELECT project, version FROM releases WHERE generation = ? ORDER BY position
-- name: held_releases
SELECT releases.position, releases.project, releases.version, count(selected.position)
FROM releases LEFT JOIN selected ON selected.generation = releases.generation AND selected.release = releases.position
WHERE releases.generation = ? GROUP BY releases.position ORDER BY releases.position
-- name: chosen_files
SELECT release, file FROM selected WHERE generation = ? ORDER BY release, position
-- name: given_reasons
SELECT release, origin, parent_project, parent_version, requirement, environments, is_build FROM reasons
WHERE generation = ? ORDER BY release, position
-- name: given_shares
SELECT release, shares FROM reasons WHERE generation = ? AND shares IS NOT NULL ORDER BY release, position
-- name: chosen_projects
SELECT name, status, status_reason FROM selected_projects WHERE generation = ? ORDER BY position
-- name: named_problems
SELECT project, requirement, reason, chain, environments, is_root, kind, is_certain FROM problems
WHERE generation = ? ORDER BY position
-- name: given_warnings
SELECT warning FROM warnings WHERE generation = ? ORDER BY position

-- Published ----------------------------------------------------------------------------------------------------------

-- name: page_digests
SELECT project, digest FROM published_pages WHERE index_name = ? ORDER BY project
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
SELECT identity, filename, sha256, blake2b_256, size, metadata_sha256 FROM holdings WHERE project = ?
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
SELECT key, sha256 FROM sidecars WHERE key IN (SELECT value FROM json_each(?))
-- name: keep_sidecar
INSERT INTO sidecars (key, sha256) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET sha256 = excluded.sha256
-- name: sidecar
SELECT metadata.body FROM sidecars JOIN metadata ON metadata.key = sidecars.key
WHERE sidecars.key = ? AND sidecars.sha256 IS NOT NULL

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
