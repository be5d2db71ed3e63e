-- What the autoscaler counts: an instance that has settled once in its run, although a check may have failed since.

-- +goose Up

ALTER TABLE container_instances
    ADD COLUMN settled_at TIMESTAMPTZ; -- checks had first passed for the settling time then, in this run

-- Forced row level security would hide all rows from an owner that is no superuser.
ALTER TABLE container_instances NO FORCE ROW LEVEL SECURITY;
UPDATE container_instances SET settled_at = healthy_since
WHERE health_status = 'healthy' AND current_status = 'running';
ALTER TABLE container_instances FORCE ROW LEVEL SECURITY;
