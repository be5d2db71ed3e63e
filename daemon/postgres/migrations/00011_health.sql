-- What the repair of unhealthy instances goes by.

-- +goose Up

ALTER TABLE container_instances
    ADD COLUMN unhealthy_since TIMESTAMPTZ; -- unhealthy since then, in this run

-- Forced row level security would hide all rows from an owner that is no superuser.
ALTER TABLE container_instances NO FORCE ROW LEVEL SECURITY;
UPDATE container_instances SET unhealthy_since = coalesce(last_health_check, started_at)
WHERE health_status = 'unhealthy' AND current_status = 'running';
ALTER TABLE container_instances FORCE ROW LEVEL SECURITY;
