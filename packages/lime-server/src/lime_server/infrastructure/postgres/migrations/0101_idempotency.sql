-- The first answer to each Idempotency-Key (protocol section 1).
CREATE SCHEMA IF NOT EXISTS infrastructure;

CREATE TABLE infrastructure.idempotency (
    -- Keyed hash of credential, method, path and key: one caller cannot meet another's answers.
    scope        bytea PRIMARY KEY,
    -- Keyed hash of the body, to tell a repetition from a reuse.
    fingerprint  bytea NOT NULL,
    -- Who is working on it, until when nobody else may.
    owner        uuid NOT NULL,
    locked_until timestamptz NOT NULL,
    -- Null while it is being worked on. The answer is sealed: it may hold a token shown once.
    status       smallint,
    content_type text,
    sealed_body  bytea,
    expires_at   timestamptz NOT NULL
);

CREATE INDEX idempotency_expires_at ON infrastructure.idempotency (expires_at);
