-- +goose NO TRANSACTION
-- +goose Up

-- What operators order of the fleet, and what members say of it.
ALTER TABLE clusters
    ADD COLUMN IF NOT EXISTS cordoned      BOOL NOT NULL DEFAULT FALSE,
    ADD COLUMN IF NOT EXISTS lost          BOOL NOT NULL DEFAULT FALSE,
    ADD COLUMN IF NOT EXISTS drain         JSONB,
    ADD COLUMN IF NOT EXISTS architectures JSONB NOT NULL DEFAULT '[]',
    ADD COLUMN IF NOT EXISTS accelerators  JSONB NOT NULL DEFAULT '[]',
    ADD COLUMN IF NOT EXISTS store         TEXT NOT NULL DEFAULT '';

ALTER TABLE members
    ADD COLUMN IF NOT EXISTS version      TEXT NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS reported_era INT8 NOT NULL DEFAULT 0;

-- A cluster that is registered again under its name begins above the
-- incarnation that it left with: its data plane admits nothing below.
CREATE TABLE IF NOT EXISTS removed_clusters (
    name        TEXT PRIMARY KEY,
    incarnation INT8 NOT NULL
);

-- Every version of every policy. The newest of a scope holds.
CREATE TABLE IF NOT EXISTS policies (
    scope       TEXT NOT NULL,
    version     INT8 NOT NULL,
    level       TEXT NOT NULL,
    domain      TEXT NOT NULL,
    project     TEXT NOT NULL,
    workflow    TEXT NOT NULL,
    author      TEXT NOT NULL,
    written_at  TIMESTAMPTZ NOT NULL,
    deleted     BOOL NOT NULL,
    rules       JSONB NOT NULL,
    share       JSONB,
    nonce       TEXT NOT NULL,
    PRIMARY KEY (scope, version)
);

CREATE INDEX IF NOT EXISTS audit_by_subject ON audit (subject, at DESC);
