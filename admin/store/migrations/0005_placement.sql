-- +goose NO TRANSACTION
-- +goose Up

-- What each cluster is to be told of each execution. A row is due while wanted
-- is above acked; the desired state itself is read when it is sent.
CREATE TABLE IF NOT EXISTS outbox (
    cluster    TEXT NOT NULL,
    name       TEXT NOT NULL,
    project    TEXT NOT NULL,
    domain     TEXT NOT NULL,
    epoch_era  INT8 NOT NULL,
    epoch_n    INT8 NOT NULL,
    wanted     INT8 NOT NULL,
    acked      INT8 NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (cluster, name, project, domain)
);
CREATE INDEX IF NOT EXISTS outbox_due ON outbox (cluster, updated_at, name) WHERE wanted > acked;

CREATE TABLE IF NOT EXISTS decisions (
    name            TEXT NOT NULL,
    project         TEXT NOT NULL,
    domain          TEXT NOT NULL,
    epoch_era       INT8 NOT NULL,
    epoch_n         INT8 NOT NULL,
    cluster         TEXT NOT NULL,
    scheduler_era   INT8 NOT NULL,
    scheduler_epoch INT8 NOT NULL,
    beat            INT8 NOT NULL,
    reasons         JSONB NOT NULL,
    decided_at      TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (name, project, domain, epoch_era, epoch_n)
);

-- The newest reasons for which an execution waits.
CREATE TABLE IF NOT EXISTS waits (
    name            TEXT NOT NULL,
    project         TEXT NOT NULL,
    domain          TEXT NOT NULL,
    scheduler_era   INT8 NOT NULL,
    scheduler_epoch INT8 NOT NULL,
    reasons         JSONB NOT NULL,
    decided_at      TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (name, project, domain)
);
