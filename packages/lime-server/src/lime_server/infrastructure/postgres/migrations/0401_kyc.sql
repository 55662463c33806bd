-- Cases in which owners prove who they are, and what they prove it with.

CREATE TABLE foundation.kyc_cases (
    case_id       uuid PRIMARY KEY,
    owner_id      uuid NOT NULL REFERENCES foundation.owners,
    provider      text NOT NULL,
    reference     text,
    target_level  smallint NOT NULL CHECK (target_level BETWEEN 1 AND 3),
    state         text NOT NULL
                  CHECK (state IN ('OPEN', 'SUBMITTED', 'APPROVED', 'REJECTED', 'EXPIRED')),
    created_at    timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    decided_at    timestamptz,
    decided_by    uuid,
    level         smallint CHECK (level BETWEEN 1 AND target_level),
    reason        text,
    UNIQUE (provider, reference),
    CHECK ((state IN ('OPEN', 'SUBMITTED')) = (decided_at IS NULL)),
    CHECK ((state = 'APPROVED') = (level IS NOT NULL))
);
-- An owner has one case at a time.
CREATE UNIQUE INDEX kyc_cases_one_waiting ON foundation.kyc_cases (owner_id)
    WHERE state IN ('OPEN', 'SUBMITTED');
CREATE INDEX kyc_cases_of_owner ON foundation.kyc_cases (owner_id, case_id);
CREATE INDEX kyc_cases_in_state ON foundation.kyc_cases (state, case_id);
CREATE INDEX kyc_cases_waiting ON foundation.kyc_cases (expires_at)
    WHERE state IN ('OPEN', 'SUBMITTED');
CREATE INDEX kyc_cases_decided ON foundation.kyc_cases (decided_at);

CREATE TABLE foundation.kyc_documents (
    case_id       uuid NOT NULL REFERENCES foundation.kyc_cases,
    number        smallint NOT NULL,
    name          text NOT NULL,
    content_type  text NOT NULL,
    size          integer NOT NULL,
    -- With a key derived from the master key; the context is the case and the number.
    sealed        bytea NOT NULL,
    PRIMARY KEY (case_id, number)
);
-- Sealed bytes do not compress.
ALTER TABLE foundation.kyc_documents ALTER COLUMN sealed SET STORAGE EXTERNAL;

-- Callbacks of providers that have come, so that none works twice.
CREATE TABLE foundation.kyc_callbacks (
    provider  text NOT NULL,
    event_id  text NOT NULL,
    came_at   timestamptz NOT NULL,
    PRIMARY KEY (provider, event_id)
);
CREATE INDEX kyc_callbacks_age ON foundation.kyc_callbacks (came_at);
