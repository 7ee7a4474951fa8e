-- +goose NO TRANSACTION
-- +goose Up

-- What executions may ask of a cluster, once for all that ask the same. Rows of
-- executions from before have no digest; they are read with their requirement.
CREATE TABLE IF NOT EXISTS requirements (
    digest      TEXT PRIMARY KEY,
    requirement JSONB NOT NULL
);

ALTER TABLE executions
    ADD COLUMN IF NOT EXISTS digest        TEXT NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS failover      JSONB NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS moves         INT8 NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS revoking      TEXT NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS revoked_at    TIMESTAMPTZ,
    ADD COLUMN IF NOT EXISTS revoke_reason TEXT NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS resumed       BOOL NOT NULL DEFAULT FALSE,
    ADD COLUMN IF NOT EXISTS not_before    TIMESTAMPTZ,
    ADD COLUMN IF NOT EXISTS placed_at     TIMESTAMPTZ;

-- One row for each epoch at which an execution left a cluster.
CREATE TABLE IF NOT EXISTS moves (
    name         TEXT NOT NULL,
    project      TEXT NOT NULL,
    domain       TEXT NOT NULL,
    epoch_era    INT8 NOT NULL,
    epoch_n      INT8 NOT NULL,
    from_cluster TEXT NOT NULL,
    kind         TEXT NOT NULL,
    reason       TEXT NOT NULL,
    moved_at     TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (name, project, domain, epoch_era, epoch_n)
);

-- Nodes and attempts of the epochs before a restart. until_era and until_n are
-- the epoch that began anew.
CREATE TABLE IF NOT EXISTS archived_nodes (
    name       TEXT NOT NULL,
    project    TEXT NOT NULL,
    domain     TEXT NOT NULL,
    until_era  INT8 NOT NULL,
    until_n    INT8 NOT NULL,
    node       TEXT NOT NULL,
    parent     TEXT NOT NULL,
    epoch_era  INT8 NOT NULL,
    epoch_n    INT8 NOT NULL,
    phase      INT8 NOT NULL,
    sequence   INT8 NOT NULL,
    detail     BYTEA,
    reason     TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    started_at TIMESTAMPTZ,
    ended_at   TIMESTAMPTZ,
    PRIMARY KEY (name, project, domain, until_era, until_n, node)
);

CREATE TABLE IF NOT EXISTS archived_tasks (
    name         TEXT NOT NULL,
    project      TEXT NOT NULL,
    domain       TEXT NOT NULL,
    until_era    INT8 NOT NULL,
    until_n      INT8 NOT NULL,
    node         TEXT NOT NULL,
    attempt      INT8 NOT NULL,
    task_project TEXT NOT NULL,
    task_domain  TEXT NOT NULL,
    task_name    TEXT NOT NULL,
    task_version TEXT NOT NULL,
    epoch_era    INT8 NOT NULL,
    epoch_n      INT8 NOT NULL,
    phase        INT8 NOT NULL,
    version      INT8 NOT NULL,
    sequence     INT8 NOT NULL,
    detail       BYTEA,
    reason       TEXT NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    updated_at   TIMESTAMPTZ NOT NULL,
    started_at   TIMESTAMPTZ,
    ended_at     TIMESTAMPTZ,
    PRIMARY KEY (name, project, domain, until_era, until_n, node, attempt, task_project, task_domain, task_name, task_version)
);
