-- +goose NO TRANSACTION
-- +goose Up

-- Names of executions are random, so keys begin with them: writes spread over
-- the key space instead of meeting at its end.
CREATE TABLE IF NOT EXISTS executions (
    name                TEXT NOT NULL,
    project             TEXT NOT NULL,
    domain              TEXT NOT NULL,
    spec                BYTEA,
    inputs              BYTEA,
    inputs_uri          TEXT NOT NULL,
    user_inputs         BYTEA,
    workflow_project    TEXT NOT NULL,
    workflow_domain     TEXT NOT NULL,
    workflow_name       TEXT NOT NULL,
    workflow_version    TEXT NOT NULL,
    launch_plan_project TEXT NOT NULL,
    launch_plan_domain  TEXT NOT NULL,
    launch_plan_name    TEXT NOT NULL,
    launch_plan_version TEXT NOT NULL,
    task_project        TEXT NOT NULL,
    task_domain         TEXT NOT NULL,
    task_name           TEXT NOT NULL,
    task_version        TEXT NOT NULL,
    requirement         JSONB NOT NULL,
    data_prefix         TEXT NOT NULL,
    raw_prefix          TEXT NOT NULL,
    principal           TEXT NOT NULL,
    mode                INT8 NOT NULL,
    archived            BOOL NOT NULL,
    trace               TEXT NOT NULL,
    phase               INT8 NOT NULL,
    desired             TEXT NOT NULL,
    epoch_era           INT8 NOT NULL,
    epoch_n             INT8 NOT NULL,
    cluster             TEXT NOT NULL,
    revision            INT8 NOT NULL,
    sequence            INT8 NOT NULL,
    abort_cause         TEXT NOT NULL,
    abort_principal     TEXT NOT NULL,
    error               BYTEA,
    error_kind          TEXT NOT NULL,
    error_code          TEXT NOT NULL,
    output_uri          TEXT NOT NULL,
    created_at          TIMESTAMPTZ NOT NULL,
    updated_at          TIMESTAMPTZ NOT NULL,
    started_at          TIMESTAMPTZ,
    ended_at            TIMESTAMPTZ,
    version             INT8 NOT NULL,
    nonce               TEXT NOT NULL,
    PRIMARY KEY (name, project, domain)
);
CREATE INDEX IF NOT EXISTS executions_newest ON executions (project, domain, created_at DESC, name DESC);
CREATE INDEX IF NOT EXISTS executions_pending ON executions (created_at, name) WHERE cluster = '' AND phase IN (0, 1);
CREATE INDEX IF NOT EXISTS executions_live ON executions (cluster, name) WHERE cluster <> '' AND phase NOT IN (4, 6, 7, 8);

CREATE TABLE IF NOT EXISTS nodes (
    name       TEXT NOT NULL,
    project    TEXT NOT NULL,
    domain     TEXT NOT NULL,
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
    PRIMARY KEY (name, project, domain, node)
);

CREATE TABLE IF NOT EXISTS tasks (
    name         TEXT NOT NULL,
    project      TEXT NOT NULL,
    domain       TEXT NOT NULL,
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
    PRIMARY KEY (name, project, domain, node, attempt, task_project, task_domain, task_name, task_version)
);
