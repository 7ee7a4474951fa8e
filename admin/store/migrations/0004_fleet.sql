-- +goose NO TRANSACTION
-- +goose Up

CREATE TABLE IF NOT EXISTS clusters (
    name         TEXT PRIMARY KEY,
    labels       JSONB NOT NULL,
    taints       JSONB NOT NULL,
    incarnation  INT8 NOT NULL,
    health       TEXT NOT NULL,
    health_since TIMESTAMPTZ,
    capacity     JSONB NOT NULL,
    largest_node JSONB NOT NULL,
    task_types   JSONB NOT NULL,
    version      TEXT NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    updated_at   TIMESTAMPTZ NOT NULL,
    nonce        TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS members (
    cluster            TEXT NOT NULL,
    instance           TEXT NOT NULL,
    generation         INT8 NOT NULL,
    hub                TEXT NOT NULL,
    ownership_revision INT8 NOT NULL,
    revoked            BOOL NOT NULL,
    last_seen_at       TIMESTAMPTZ,
    PRIMARY KEY (cluster, instance)
);

-- Apart from members: leases are written each second, and every event's
-- transaction reads its member's row.
CREATE TABLE IF NOT EXISTS leases (
    cluster     TEXT NOT NULL,
    instance    TEXT NOT NULL,
    generation  INT8 NOT NULL,
    expires_at  TIMESTAMPTZ NOT NULL,
    duration_ms INT8 NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (cluster, instance)
);

CREATE TABLE IF NOT EXISTS join_tokens (
    hash        BYTEA PRIMARY KEY,
    cluster     TEXT NOT NULL,
    expires_at  TIMESTAMPTZ NOT NULL,
    key_hash    BYTEA,
    instance    TEXT NOT NULL,
    certificate BYTEA,
    used_at     TIMESTAMPTZ,
    nonce       TEXT NOT NULL
);
