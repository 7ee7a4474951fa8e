-- +goose NO TRANSACTION
-- +goose Up

-- REBUILD of a restored backup: since when (NULL: none), what gave it away, and
-- whether an operator waits for nobody; and what the newest one came to.
ALTER TABLE scheduler
    ADD COLUMN IF NOT EXISTS rebuild_since  TIMESTAMPTZ,
    ADD COLUMN IF NOT EXISTS rebuild_why    TEXT NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS rebuild_forced BOOL NOT NULL DEFAULT FALSE,
    ADD COLUMN IF NOT EXISTS rebuilt        JSONB;

-- What a member's newest session is to a REBUILD: 0 it was opened outside of
-- one, 1 it was opened in one, 2 its inventory was taken, 3 the member has
-- reported all that it holds. Every check of a session reads it with the row.
ALTER TABLE members
    ADD COLUMN IF NOT EXISTS rebuild INT8 NOT NULL DEFAULT 0;

-- What members have reported in the REBUILD that lasts: who holds an execution,
-- at which epoch, and what that was to its row (kept, moved, created).
CREATE TABLE IF NOT EXISTS rebuild_held (
    name      TEXT NOT NULL,
    project   TEXT NOT NULL,
    domain    TEXT NOT NULL,
    cluster   TEXT NOT NULL,
    epoch_era INT8 NOT NULL,
    epoch_n   INT8 NOT NULL,
    outcome   TEXT NOT NULL,
    PRIMARY KEY (name, project, domain)
);
