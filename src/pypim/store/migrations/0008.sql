-- Schema 8: who may use the server.

-- Somebody with a password.
CREATE TABLE users (
  name TEXT PRIMARY KEY,
  password_hash TEXT NOT NULL,       -- Argon2id with its parameters and salt, as its library writes it
  created_at REAL NOT NULL,          -- seconds since the epoch, as every time here
  changed_at REAL NOT NULL           -- when the password was set
) STRICT;

-- What programs show instead of a password. Nothing here lets anybody make the text of a token again.
CREATE TABLE tokens (
  id TEXT PRIMARY KEY,               -- public: the part of the text before the dot
  secret_sha256 TEXT NOT NULL,       -- of the part after the dot
  user_name TEXT REFERENCES users (name) ON DELETE CASCADE,  -- whose rights limit it further; NULL: its scope alone counts
  label TEXT NOT NULL,
  indexes TEXT NOT NULL,             -- JSON list of names; "*" is every index
  projects TEXT NOT NULL,            -- JSON list of names and globs
  actions TEXT NOT NULL,             -- JSON list: read, upload, yank, delete, admin
  created_at REAL NOT NULL,
  expires_at REAL,                   -- NULL: never
  revoked_at REAL,                   -- NULL: it was not
  used_at REAL,                      -- exact to a minute or so; NULL: never
  proof TEXT UNIQUE                  -- SHA-256 of the identity token it was made for (Trusted Publishing), or NULL
) STRICT;
CREATE INDEX tokens_of_user ON tokens (user_name);

PRAGMA user_version = 8;
