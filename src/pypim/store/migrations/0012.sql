-- Schema 12.

PRAGMA user_version = 12;
