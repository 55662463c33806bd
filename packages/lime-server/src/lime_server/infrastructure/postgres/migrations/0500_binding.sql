-- Agent bindings, from a site's wish to their end (protocol section 9). Times come from the servers'
-- clocks: they are arguments, so that tests can choose them.

CREATE TABLE modules.bindings (
    binding_id      uuid PRIMARY KEY,
    site_id         uuid NOT NULL REFERENCES foundation.sites ON DELETE CASCADE,
    state           text NOT NULL CHECK
                    (state IN ('PENDING', 'APPROVED', 'ACTIVE', 'ENDED', 'REFUSED', 'EXPIRED')),
    redirect_uri    text NOT NULL,
    browser_state   text NOT NULL,
    code_challenge  text,
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    owner_id        uuid REFERENCES foundation.owners,
    -- Not a foreign key: what an agent was bound to stays on record when it is deleted.
    agent_id        uuid,
    -- The keyed hash of a code of 256 bits; gone once the code was exchanged.
    code_hash       bytea UNIQUE,
    decided_at      timestamptz,
    bound_at        timestamptz,
    ended_at        timestamptz,
    ended_by        text CHECK (ended_by IN ('owner', 'site')),
    CHECK ((state = 'PENDING') = (decided_at IS NULL)),
    CHECK ((state = 'APPROVED') = (code_hash IS NOT NULL)),
    CHECK ((state IN ('ACTIVE', 'ENDED')) = (bound_at IS NOT NULL)),
    CHECK ((state = 'ENDED') = (ended_at IS NOT NULL)),
    CHECK ((state = 'ENDED') = (ended_by IS NOT NULL)),
    CHECK (state NOT IN ('APPROVED', 'ACTIVE', 'ENDED') OR agent_id IS NOT NULL),
    CHECK (state NOT IN ('APPROVED', 'ACTIVE', 'ENDED', 'REFUSED') OR owner_id IS NOT NULL)
);
-- What an owner and a site look through, latest first.
CREATE INDEX bindings_of_owner ON modules.bindings (owner_id, binding_id)
    WHERE state IN ('ACTIVE', 'ENDED');
CREATE INDEX bindings_of_site ON modules.bindings (site_id, binding_id)
    WHERE state IN ('ACTIVE', 'ENDED');
-- What is deleted after a while.
CREATE INDEX bindings_unmade ON modules.bindings (expires_at)
    WHERE state NOT IN ('ACTIVE', 'ENDED');
