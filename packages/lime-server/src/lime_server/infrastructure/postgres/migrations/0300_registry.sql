-- What owners can do with their agents and sites: several tokens at once, when each was last used,
-- capabilities, redirect URIs, and deletion that leaves a tombstone.

ALTER TABLE core.agents
    ADD COLUMN capabilities text[] NOT NULL DEFAULT '{}',
    ADD COLUMN last_used_at timestamptz,
    -- A deleted agent keeps its row: its id is never given again, and sites keep their history.
    ADD COLUMN deleted_at   timestamptz,
    ADD CHECK (deleted_at IS NULL OR NOT active);
-- Pages of an owner's agents, newest first.
DROP INDEX core.agents_of_owner;
CREATE INDEX agents_of_owner ON core.agents (owner_id, agent_id) WHERE deleted_at IS NULL;

ALTER TABLE core.agent_tokens
    ADD COLUMN token_id     uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    ADD COLUMN last_used_at timestamptz,
    -- Null for the newest one; the others work until then.
    ADD COLUMN expires_at   timestamptz;

ALTER TABLE foundation.sites
    ADD COLUMN active        boolean NOT NULL DEFAULT true,
    ADD COLUMN redirect_uris text[] NOT NULL DEFAULT '{}' CHECK (cardinality(redirect_uris) <= 20),
    ADD COLUMN last_used_at  timestamptz,
    ADD COLUMN deleted_at    timestamptz,
    ADD CHECK (deleted_at IS NULL OR NOT active);
DROP INDEX foundation.sites_of_owner;
CREATE INDEX sites_of_owner ON foundation.sites (owner_id, site_id) WHERE deleted_at IS NULL;

ALTER TABLE foundation.site_tokens
    ADD COLUMN token_id     uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    ADD COLUMN last_used_at timestamptz,
    ADD COLUMN expires_at   timestamptz;

-- Login histories, newest first: request ids begin with the time.
CREATE INDEX site_login_requests_of_site ON modules.site_login_requests (site_id, request_id);
CREATE INDEX site_login_requests_of_agent
    ON modules.site_login_requests (agent_id, request_id) WHERE agent_id IS NOT NULL;

-- Which event streams are open at which server, for the owner's delivery monitor. Worth nothing
-- after a crash, so it is not logged; each server writes it anew when it finds itself missing.
CREATE UNLOGGED TABLE modules.site_login_servers (
    server_id  uuid PRIMARY KEY,
    seen_at    timestamptz NOT NULL
);
CREATE UNLOGGED TABLE modules.site_login_streams (
    site_id    uuid NOT NULL,
    server_id  uuid NOT NULL REFERENCES modules.site_login_servers ON DELETE CASCADE,
    -- One element for each stream; a stream that shares no work has no consumer.
    consumers  text[] NOT NULL,
    since      timestamptz[] NOT NULL,
    PRIMARY KEY (site_id, server_id)
);
CREATE INDEX site_login_streams_of_server ON modules.site_login_streams (server_id);
