-- +goose NO TRANSACTION
-- +goose Up

-- Trim runs each minute and may not look through all history: what was acked
-- long ago, and the trails that may still go.
CREATE INDEX IF NOT EXISTS outbox_acked ON outbox (updated_at) WHERE acked >= wanted;

-- TRUE once Trim has found a decision that refers to the trail. Decisions stay, so
-- the trail does, and is not looked at again.
ALTER TABLE trails
    ADD COLUMN IF NOT EXISTS kept BOOL NOT NULL DEFAULT FALSE;
CREATE INDEX IF NOT EXISTS trails_loose ON trails (stored_at) WHERE NOT kept;
