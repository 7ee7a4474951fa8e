-- +goose NO TRANSACTION
-- +goose Up

CREATE TABLE IF NOT EXISTS projects (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    labels      JSONB NOT NULL,
    state       INT8 NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    updated_at  TIMESTAMPTZ NOT NULL
);

-- What all versions of an entity share; a row comes with the first version.
CREATE TABLE IF NOT EXISTS named_entities (
    kind        INT8 NOT NULL,
    project     TEXT NOT NULL,
    domain      TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    state       INT8 NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    updated_at  TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (kind, project, domain, name)
);

-- active is TRUE or NULL, never FALSE: unique keys let NULLs repeat, so at most
-- one version of a name is active.
CREATE TABLE IF NOT EXISTS entities (
    kind              INT8 NOT NULL,
    project           TEXT NOT NULL,
    domain            TEXT NOT NULL,
    name              TEXT NOT NULL,
    version           TEXT NOT NULL,
    digest            BYTEA,
    body              BYTEA,
    body_uri          TEXT NOT NULL,
    body_digest       BYTEA,
    interface         BYTEA,
    task_type         TEXT NOT NULL,
    workflow_project  TEXT NOT NULL,
    workflow_domain   TEXT NOT NULL,
    workflow_name     TEXT NOT NULL,
    workflow_version  TEXT NOT NULL,
    active            BOOL,
    schedule_type     TEXT NOT NULL,
    system_generated  BOOL NOT NULL,
    short_description TEXT NOT NULL,
    description       BYTEA,
    created_at        TIMESTAMPTZ NOT NULL,
    updated_at        TIMESTAMPTZ NOT NULL,
    nonce             TEXT NOT NULL,
    PRIMARY KEY (kind, project, domain, name, version),
    CONSTRAINT entities_one_active UNIQUE (kind, project, domain, name, active)
);
CREATE INDEX IF NOT EXISTS entities_newest ON entities (kind, project, domain, created_at DESC);
