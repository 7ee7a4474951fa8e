-- +goose NO TRANSACTION
-- +goose Up

-- Who acked a row first, and after how many sessions of its cluster; and the
-- same count as a member's newest session opened: what another member has acked
-- since then cannot be in that session's inventory.
ALTER TABLE outbox
    ADD COLUMN IF NOT EXISTS acked_by TEXT NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS acked_in INT8 NOT NULL DEFAULT 0;

ALTER TABLE members
    ADD COLUMN IF NOT EXISTS opened_in INT8 NOT NULL DEFAULT 0;
