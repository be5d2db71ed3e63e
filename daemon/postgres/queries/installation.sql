-- name: InstallationID :one
SELECT id FROM installation;

-- name: Epoch :one
SELECT epoch FROM installation;

-- name: RaiseEpoch :one
UPDATE installation SET epoch = epoch + 1 RETURNING epoch;
