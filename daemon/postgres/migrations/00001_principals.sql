-- The login role of the daemon and the principals that act through it.

-- +goose Up

-- Roles belong to the whole server, so another database may have made this one already.
-- +goose StatementBegin
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'wedsync_app') THEN
        BEGIN
            CREATE ROLE wedsync_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOREPLICATION;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END IF;
    -- The owner logs in and then becomes wedsync_app, where no second login is configured.
    IF NOT pg_has_role(current_user, 'wedsync_app', 'MEMBER') THEN
        BEGIN
            EXECUTE format('GRANT wedsync_app TO %I', current_user);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END IF;
END
$$;
-- +goose StatementEnd

CREATE TABLE principals (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('system_admin', 'devops_engineer', 'developer', 'monitoring_system')),
    environments TEXT[] NOT NULL DEFAULT '{}', -- '*' stands for all
    is_active BOOLEAN NOT NULL DEFAULT true,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX principals_active_name ON principals (name) WHERE is_active;

CREATE TABLE api_tokens (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    principal_id UUID NOT NULL REFERENCES principals (id),
    token_hash BYTEA NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32), -- SHA-256 of the secret
    prefix TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    expires_at TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ,
    last_used_at TIMESTAMPTZ
);
CREATE INDEX api_tokens_principal ON api_tokens (principal_id);

-- fleet.System, the daemon itself.
INSERT INTO principals (id, name, role, environments)
VALUES ('00000000-0000-7000-8000-000000000001', 'wedsyncd', 'system_admin', '{*}');
