-- +goose NO TRANSACTION
-- +goose Up

-- Where the replicas of the control plane are reached, as each says of itself.
CREATE TABLE IF NOT EXISTS replicas (
    id      TEXT PRIMARY KEY,
    address TEXT NOT NULL,
    rpc     TEXT NOT NULL,
    version TEXT NOT NULL,
    seen_at TIMESTAMPTZ NOT NULL
);
