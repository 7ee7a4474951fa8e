-- +goose NO TRANSACTION
-- +goose Up

-- Who this control plane is. The one row guards the bootstrap of raft.
CREATE TABLE IF NOT EXISTS control_plane (
    one        INT8 PRIMARY KEY CHECK (one = 1),
    id         TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
INSERT INTO control_plane (one, id, created_at) VALUES (1, gen_random_uuid()::TEXT, now()) ON CONFLICT (one) DO NOTHING;

-- The fence: each scheduling transaction begins by raising beat.
CREATE TABLE IF NOT EXISTS scheduler (
    one              INT8 PRIMARY KEY CHECK (one = 1),
    era              INT8 NOT NULL,
    epoch            INT8 NOT NULL,
    beat             INT8 NOT NULL,
    leader           TEXT NOT NULL,
    longest_lease_ms INT8 NOT NULL
);
INSERT INTO scheduler (one, era, epoch, beat, leader, longest_lease_ms) VALUES (1, 1, 0, 0, '', 0) ON CONFLICT (one) DO NOTHING;

CREATE TABLE IF NOT EXISTS audit (
    id      TEXT PRIMARY KEY,
    at      TIMESTAMPTZ NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS audit_by_time ON audit (at DESC);
