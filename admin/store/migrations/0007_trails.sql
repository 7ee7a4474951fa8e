-- +goose NO TRANSACTION
-- +goose Up

-- What the clusters of one snapshot said to one requirement class; decisions
-- and waits refer to it, and hold no reasons of their own any more.
CREATE TABLE IF NOT EXISTS trails (
    digest    TEXT PRIMARY KEY,
    class     TEXT NOT NULL,
    round     TEXT NOT NULL,
    reasons   JSONB NOT NULL,
    stored_at TIMESTAMPTZ NOT NULL
);

-- Enough of a decision to take it again.
CREATE TABLE IF NOT EXISTS rounds (
    id              TEXT PRIMARY KEY,
    scheduler_era   INT8 NOT NULL,
    scheduler_epoch INT8 NOT NULL,
    decided_at      TIMESTAMPTZ NOT NULL,
    view            BYTEA,
    plan            BYTEA,
    decisions       INT8 NOT NULL
);
CREATE INDEX IF NOT EXISTS rounds_by_time ON rounds (decided_at DESC);

ALTER TABLE decisions
    ADD COLUMN IF NOT EXISTS trail    TEXT NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS round    TEXT NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS score    FLOAT8 NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS fallback TEXT NOT NULL DEFAULT '';
CREATE INDEX IF NOT EXISTS decisions_by_round ON decisions (round) WHERE round <> '';
CREATE INDEX IF NOT EXISTS decisions_by_trail ON decisions (trail) WHERE trail <> '';

ALTER TABLE waits
    ADD COLUMN IF NOT EXISTS trail TEXT NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS round TEXT NOT NULL DEFAULT '';
CREATE INDEX IF NOT EXISTS waits_by_round ON waits (round) WHERE round <> '';
CREATE INDEX IF NOT EXISTS waits_by_trail ON waits (trail) WHERE trail <> '';
