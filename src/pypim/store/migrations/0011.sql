-- Schema 11.

PRAGMA user_version = 11;
