-- Schema 15: that something is missing is remembered in bounded room.

-- Anybody may ask a proxy for names that nobody has; the oldest of these answers go first.
CREATE INDEX absences ON responses (upstream, fetched_at) WHERE status IN (404, 410);

PRAGMA user_version = 15;
