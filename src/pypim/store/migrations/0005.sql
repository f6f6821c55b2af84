-- Schema 5: what the server reads of a mirror, project by project.
CREATE INDEX selected_by_project ON selected (generation, project);
CREATE INDEX selected_projects_by_name ON selected_projects (generation, name);
PRAGMA user_version = 5;
