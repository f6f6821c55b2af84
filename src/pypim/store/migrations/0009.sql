-- Schema 9: for whose sake a release is chosen.

-- JSON list of [environments, resolutions]: in which resolutions the reason counts, by their numbers in this generation,
-- each with the names of the environments, or of the first or last patch release of one. 0 is the newest of everything,
-- which many roots have in common; each other number is what a search found for one root or one build; a root with an
-- empty list brings nothing else. An empty list of all, and NULL, which stands at all reasons of a release or at none:
-- the newest of everything, wherever it holds.
ALTER TABLE reasons ADD COLUMN shares TEXT;

PRAGMA user_version = 9;
