-- Owners, the agents and sites they answer for, and the hashes of their tokens.
-- Tokens have tables of their own, so that one holder can have two while it changes from one to the other.

CREATE SCHEMA core;
CREATE SCHEMA foundation;
CREATE SCHEMA modules;

CREATE TABLE foundation.owners (
    owner_id    uuid PRIMARY KEY,
    email       text NOT NULL UNIQUE CHECK (email = lower(email)),
    kyc_level   smallint NOT NULL DEFAULT 0 CHECK (kyc_level BETWEEN 0 AND 3),
    suspended   boolean NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL
);

CREATE TABLE core.agents (
    agent_id      uuid PRIMARY KEY,
    owner_id      uuid NOT NULL REFERENCES foundation.owners,
    display_name  text NOT NULL,
    description   text,
    avatar_url    text,
    active        boolean NOT NULL DEFAULT true,
    created_at    timestamptz NOT NULL
);
CREATE INDEX agents_of_owner ON core.agents (owner_id);

CREATE TABLE core.agent_tokens (
    token_hash  bytea PRIMARY KEY,
    agent_id    uuid NOT NULL REFERENCES core.agents ON DELETE CASCADE,
    created_at  timestamptz NOT NULL
);
CREATE INDEX tokens_of_agent ON core.agent_tokens (agent_id);

CREATE TABLE foundation.sites (
    site_id          uuid PRIMARY KEY,
    owner_id         uuid NOT NULL REFERENCES foundation.owners,
    display_name     text NOT NULL,
    domain           text,
    domain_verified  boolean NOT NULL DEFAULT false,
    suspended        boolean NOT NULL DEFAULT false,
    created_at       timestamptz NOT NULL
);
CREATE INDEX sites_of_owner ON foundation.sites (owner_id);

CREATE TABLE foundation.site_tokens (
    token_hash  bytea PRIMARY KEY,
    site_id     uuid NOT NULL REFERENCES foundation.sites ON DELETE CASCADE,
    created_at  timestamptz NOT NULL
);
CREATE INDEX tokens_of_site ON foundation.site_tokens (site_id);
