-- Schema 17: core metadata is read again, by the rules of today.

-- What is made of METADATA and of a trusted PKG-INFO depends on who reads it; their bytes are here. `read_again` is
-- pypim's own, known while it migrates, and NULL where the same comes of them.
CREATE TEMP TABLE read_anew AS
  SELECT key, upstream, key || CASE upstream WHEN '*' THEN '' WHEN '' THEN '' ELSE ' ' || upstream END AS of_requirements,
    read_again(decoded, body) AS decoded
  FROM metadata WHERE body IS NOT NULL AND read_again(decoded, body) IS NOT NULL;

UPDATE metadata SET decoded = read_anew.decoded, project = json_extract(read_anew.decoded, '$.name'),
  version = json_extract(read_anew.decoded, '$.version'),
  requires_python = json_extract(read_anew.decoded, '$.requires_python')
FROM read_anew WHERE metadata.key = read_anew.key AND metadata.upstream = read_anew.upstream;

-- Those that were not written down, because the bytes themselves say something else, are not written down now.
DELETE FROM read_anew WHERE upstream <> '*' AND key IN (SELECT key FROM metadata WHERE upstream = '*');
DELETE FROM requirements WHERE is_described = 0 AND key IN (SELECT of_requirements FROM read_anew);
INSERT OR IGNORE INTO requirements
  SELECT json_extract(parsed, '$[0]'), owner, release, key, position, requirement, json_extract(parsed, '$[1]'),
    json_extract(parsed, '$[2]'), json_extract(parsed, '$[3]'), is_build, 0
  FROM (
    SELECT read_name(json_extract(decoded, '$.name')) AS owner,
      read_version(json_extract(decoded, '$.version')) AS release, of_requirements AS key,
      item.key + CASE field WHEN 'build_requires' THEN coalesce(json_array_length(decoded, '$.requires_dist'), 0)
        ELSE 0 END AS position,
      item.value AS requirement, read_requirement(item.value) AS parsed, field = 'build_requires' AS is_build
    FROM read_anew JOIN (SELECT 'requires_dist' AS field UNION ALL SELECT 'build_requires')
      JOIN json_each(decoded, '$.' || field) AS item
  )
  WHERE owner IS NOT NULL AND parsed IS NOT NULL;
DROP TABLE read_anew;

PRAGMA user_version = 17;
