-- What an owner signs in with, and where they are signed in.
-- Nothing here lets a reader of the table sign in: passwords are argon2id, tokens and codes keyed
-- hashes, TOTP secrets and mails sealed with keys derived from the master key.

ALTER TABLE foundation.owners
    ADD COLUMN operator       boolean NOT NULL DEFAULT false,
    ADD COLUMN email_verified boolean NOT NULL DEFAULT false,
    -- Null for an owner that the command line made: they cannot sign in.
    ADD COLUMN password_hash  text;

CREATE TABLE foundation.sessions (
    session_id    uuid PRIMARY KEY,
    owner_id      uuid NOT NULL REFERENCES foundation.owners ON DELETE CASCADE,
    token_hash    bytea NOT NULL UNIQUE,
    created_at    timestamptz NOT NULL,
    last_seen_at  timestamptz NOT NULL,
    proven_at     timestamptz NOT NULL,
    address       text NOT NULL,
    user_agent    text NOT NULL
);
CREATE INDEX sessions_of_owner ON foundation.sessions (owner_id, created_at);
CREATE INDEX sessions_age ON foundation.sessions (created_at);

-- Things that may be used once, or a few times, within minutes: mail codes, half-done sign-ins,
-- challenges of passkeys, puzzles that were spent.
CREATE TABLE foundation.tickets (
    ticket_hash    bytea PRIMARY KEY,
    kind           text NOT NULL,
    owner_id       uuid REFERENCES foundation.owners ON DELETE CASCADE,
    email          text,
    code_hash      bytea,
    password_hash  text,
    tries_left     smallint NOT NULL,
    expires_at     timestamptz NOT NULL
);
CREATE INDEX tickets_age ON foundation.tickets (expires_at);

CREATE TABLE foundation.totp (
    owner_id   uuid PRIMARY KEY REFERENCES foundation.owners ON DELETE CASCADE,
    sealed     bytea NOT NULL,
    confirmed  boolean NOT NULL,
    -- The last time step whose code was used: no code works twice (RFC 6238 section 5.2).
    last_step  bigint NOT NULL
);

CREATE TABLE foundation.recovery_codes (
    owner_id   uuid NOT NULL REFERENCES foundation.owners ON DELETE CASCADE,
    code_hash  bytea NOT NULL,
    PRIMARY KEY (owner_id, code_hash)
);

CREATE TABLE foundation.passkeys (
    passkey_id     uuid PRIMARY KEY,
    owner_id       uuid NOT NULL REFERENCES foundation.owners ON DELETE CASCADE,
    credential_id  bytea NOT NULL UNIQUE,
    public_key     bytea NOT NULL,
    sign_count     bigint NOT NULL,
    name           text NOT NULL,
    created_at     timestamptz NOT NULL,
    last_used_at   timestamptz
);
CREATE INDEX passkeys_of_owner ON foundation.passkeys (owner_id, created_at);

-- Mails to be sent. A null recipient is sent to nobody: it is there so that a request about an
-- unknown address costs what a request about a known one does.
CREATE TABLE foundation.mail_outbox (
    mail_id     uuid PRIMARY KEY,
    recipient   text,
    sealed      bytea NOT NULL,
    attempts    smallint NOT NULL DEFAULT 0,
    due_at      timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX mail_outbox_due ON foundation.mail_outbox (due_at);
