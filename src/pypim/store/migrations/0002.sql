-- Schema 2: build requirements.

-- 1 where the parent needs the release to be built from its sdist, rather than to run.
ALTER TABLE reasons ADD COLUMN is_build INTEGER NOT NULL DEFAULT 0;

-- What was learned of sdists lacks what builds them; it is learned again, and what was computed from it is not believed.
DELETE FROM metadata WHERE source IN ('pkg-info', 'pyproject', 'egg-info', 'none');
DELETE FROM findings;

PRAGMA user_version = 2;
