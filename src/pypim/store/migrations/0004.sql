-- Schema 4: what need not be asked for again.

-- Until when the upstream said that an answer is good (Cache-Control: max-age); NULL where it said nothing.
ALTER TABLE responses ADD COLUMN fresh_until REAL;

-- What the answer decodes to, as MessagePack in gzip, and by which program: that one need not decode it again. For
-- people, the tables projects and files say the same.
ALTER TABLE responses ADD COLUMN page BLOB;
ALTER TABLE responses ADD COLUMN page_by TEXT;

-- One row: a number that is raised with everything that is learned of upstreams, held or listed, so that what was
-- computed from an older state is recognised.
CREATE TABLE knowledge (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  version INTEGER NOT NULL
) STRICT;
INSERT INTO knowledge (one, version) VALUES (1, 0);

CREATE TRIGGER response_kept AFTER INSERT ON responses BEGIN UPDATE knowledge SET version = version + 1; END;
CREATE TRIGGER response_replaced AFTER UPDATE OF body ON responses BEGIN UPDATE knowledge SET version = version + 1; END;
CREATE TRIGGER metadata_kept AFTER INSERT ON metadata BEGIN UPDATE knowledge SET version = version + 1; END;
CREATE TRIGGER metadata_replaced AFTER UPDATE ON metadata BEGIN UPDATE knowledge SET version = version + 1; END;
CREATE TRIGGER size_kept AFTER INSERT ON sizes BEGIN UPDATE knowledge SET version = version + 1; END;
CREATE TRIGGER size_replaced AFTER UPDATE ON sizes BEGIN UPDATE knowledge SET version = version + 1; END;
CREATE TRIGGER capability_kept AFTER INSERT ON capabilities BEGIN UPDATE knowledge SET version = version + 1; END;
CREATE TRIGGER capability_replaced AFTER UPDATE ON capabilities BEGIN UPDATE knowledge SET version = version + 1; END;
CREATE TRIGGER holding_kept AFTER INSERT ON holdings BEGIN UPDATE knowledge SET version = version + 1; END;
CREATE TRIGGER holding_replaced AFTER UPDATE ON holdings BEGIN UPDATE knowledge SET version = version + 1; END;
CREATE TRIGGER holding_forgotten AFTER DELETE ON holdings BEGIN UPDATE knowledge SET version = version + 1; END;
CREATE TRIGGER generation_begun AFTER INSERT ON generations BEGIN UPDATE knowledge SET version = version + 1; END;
CREATE TRIGGER generation_finished AFTER UPDATE ON generations BEGIN UPDATE knowledge SET version = version + 1; END;
CREATE TRIGGER generation_dropped AFTER DELETE ON generations BEGIN UPDATE knowledge SET version = version + 1; END;

-- The last plan of each index and what it was computed from: while all of that is the same, so is the plan.
CREATE TABLE plans (
  index_name TEXT PRIMARY KEY,
  request TEXT NOT NULL,             -- digest of what the configuration and the command line say, and of the program
  inputs TEXT NOT NULL,              -- JSON list of [path, sha256]: the files that were read for it
  version INTEGER NOT NULL,          -- knowledge.version
  fresh_until REAL NOT NULL,         -- until when every page that it looked at is fresh; 0 where one is not
  answer BLOB NOT NULL               -- the report: MessagePack in gzip
) STRICT;

PRAGMA user_version = 4;
