-- +goose NO TRANSACTION
-- +goose Up

-- The incarnation up to which certificates that were made for a cluster of this
-- name are good for nothing, since it was removed. NULL where the release before
-- this one has removed it: its certificates do not say their incarnation, and
-- those of the cluster that has the name now must go on being good.
ALTER TABLE removed_clusters
    ADD COLUMN IF NOT EXISTS barred INT8;
