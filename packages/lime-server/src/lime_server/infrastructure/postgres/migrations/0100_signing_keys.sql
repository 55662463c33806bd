-- Signing keys (protocol section 6). The private half is sealed with a key derived from the master
-- key, with the kid as context, and is forgotten once the key will never sign again.
CREATE SCHEMA IF NOT EXISTS core;

CREATE TABLE core.signing_keys (
    kid          text PRIMARY KEY,
    state        text NOT NULL CHECK (state IN ('standby', 'active', 'retiring', 'gone')),
    public_jwk   text NOT NULL,
    sealed       bytea,
    created_at   timestamptz NOT NULL,
    activated_at timestamptz,
    retired_at   timestamptz,
    gone_at      timestamptz,
    CHECK ((sealed IS NOT NULL) = (state IN ('standby', 'active')))
);

-- Two servers that rotate at once must not leave two keys that sign.
CREATE UNIQUE INDEX signing_keys_one_of_each ON core.signing_keys (state)
    WHERE state IN ('standby', 'active');
