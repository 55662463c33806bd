-- The authorization server for MCP (protocol section 8): clients, consents, codes, refresh tokens,
-- and what was revoked or spent. Times come from the servers' clocks: they are arguments, so that
-- tests can choose them. Every secret is a keyed hash.

CREATE TABLE modules.oauth_clients (
    -- A UUID for a registered client, an https URL for one that brings a document.
    client_id      text PRIMARY KEY CHECK (length(client_id) BETWEEN 1 AND 2048),
    kind           text NOT NULL CHECK (kind IN ('registered', 'document')),
    name           text NOT NULL,
    redirect_uris  text[] NOT NULL,
    auth_method    text NOT NULL CHECK (auth_method IN
                   ('none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt')),
    grant_types    text[] NOT NULL,
    secret_hash    bytea,
    jwks           jsonb NOT NULL DEFAULT '[]',
    created_at     timestamptz NOT NULL,
    last_used_at   timestamptz NOT NULL,
    -- When a document has to be read again.
    expires_at     timestamptz,
    CHECK ((kind = 'document') = (expires_at IS NOT NULL)),
    CHECK (kind = 'registered' OR secret_hash IS NULL)
);
CREATE INDEX oauth_clients_unused ON modules.oauth_clients (last_used_at);

CREATE TABLE modules.oauth_grants (
    grant_id       uuid PRIMARY KEY,
    owner_id       uuid NOT NULL REFERENCES foundation.owners,
    agent_id       uuid NOT NULL REFERENCES core.agents,
    -- Not a foreign key: what an owner consented to stays on record when the client is gone.
    client_id      text NOT NULL,
    client_name    text NOT NULL,
    redirect_host  text NOT NULL,
    resource       text,
    scopes         text[] NOT NULL,
    created_at     timestamptz NOT NULL,
    last_used_at   timestamptz,
    revoked_at     timestamptz
);
-- One consent that stands for each agent, client and resource.
CREATE UNIQUE INDEX oauth_grants_given
    ON modules.oauth_grants (owner_id, agent_id, client_id, resource) NULLS NOT DISTINCT
    WHERE revoked_at IS NULL;
CREATE INDEX oauth_grants_of_owner
    ON modules.oauth_grants (owner_id, grant_id) WHERE revoked_at IS NULL;
CREATE INDEX oauth_grants_of_client
    ON modules.oauth_grants (client_id) WHERE revoked_at IS NULL;

CREATE TABLE modules.oauth_codes (
    code_hash       bytea PRIMARY KEY,
    grant_id        uuid NOT NULL REFERENCES modules.oauth_grants ON DELETE CASCADE,
    -- Not a foreign key: the family begins when the code is exchanged.
    family_id       uuid NOT NULL,
    client_id       text NOT NULL,
    redirect_uri    text NOT NULL,
    code_challenge  text NOT NULL,
    resource        text,
    scopes          text[] NOT NULL,
    expires_at      timestamptz NOT NULL,
    spent_at        timestamptz
);
CREATE INDEX oauth_codes_expired ON modules.oauth_codes (expires_at);

-- Everything that one code issued.
CREATE TABLE modules.oauth_families (
    family_id   uuid PRIMARY KEY,
    grant_id    uuid NOT NULL REFERENCES modules.oauth_grants ON DELETE CASCADE,
    expires_at  timestamptz NOT NULL,
    revoked_at  timestamptz
);
CREATE INDEX oauth_families_of_grant ON modules.oauth_families (grant_id);
CREATE INDEX oauth_families_expired ON modules.oauth_families (expires_at);

CREATE TABLE modules.oauth_refresh_tokens (
    token_hash   bytea PRIMARY KEY,
    family_id    uuid NOT NULL REFERENCES modules.oauth_families ON DELETE CASCADE,
    client_id    text NOT NULL,
    resource     text,
    scopes       text[] NOT NULL,
    issued_at    timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    replaced_at  timestamptz
);
CREATE INDEX oauth_refresh_tokens_of_family ON modules.oauth_refresh_tokens (family_id);
CREATE INDEX oauth_refresh_tokens_expired ON modules.oauth_refresh_tokens (expires_at);

-- Access tokens that were revoked while they were still valid.
CREATE TABLE modules.oauth_revoked_tokens (
    jti         text PRIMARY KEY,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX oauth_revoked_tokens_expired ON modules.oauth_revoked_tokens (expires_at);

-- Client assertions that were seen: a hash of who made one and of its jti.
CREATE TABLE modules.oauth_spent_assertions (
    name        bytea PRIMARY KEY,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX oauth_spent_assertions_expired ON modules.oauth_spent_assertions (expires_at);

-- The public keys of agents (RFC 7517), by which they can prove themselves instead of with a token.
CREATE TABLE core.agent_keys (
    agent_id  uuid PRIMARY KEY REFERENCES core.agents ON DELETE CASCADE,
    jwks      jsonb NOT NULL
);
