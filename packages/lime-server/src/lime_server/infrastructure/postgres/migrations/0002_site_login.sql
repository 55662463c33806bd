-- Login requests, and the events that tell sites what became of them (the outbox).
-- Times come from the servers' clocks: they are arguments, so that tests can choose them.

CREATE TABLE modules.site_login_requests (
    request_id    uuid PRIMARY KEY,
    site_id       uuid NOT NULL REFERENCES foundation.sites ON DELETE CASCADE,
    state         text NOT NULL
                  CHECK (state IN ('PENDING', 'APPROVED', 'DELIVERED', 'DENIED', 'EXPIRED')),
    challenge     text NOT NULL,
    difficulty    smallint NOT NULL,
    redirect_url  text,
    created_at    timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    -- Not a foreign key: what an agent did stays on record when it is deleted.
    agent_id      uuid,
    decided_at    timestamptz,
    CHECK ((state = 'PENDING') = (decided_at IS NULL)),
    CHECK ((state IN ('APPROVED', 'DELIVERED', 'DENIED')) = (agent_id IS NOT NULL))
);
-- What the sweep looks for: small, because requests do not stay pending for long.
CREATE INDEX site_login_requests_pending
    ON modules.site_login_requests (expires_at) WHERE state = 'PENDING';
-- What the sweep deletes. Not a block range index: that would be read as a whole until a vacuum has
-- summarised it, every few seconds.
CREATE INDEX site_login_requests_age ON modules.site_login_requests (expires_at);

CREATE TABLE modules.site_login_events (
    -- The request's own id: a request is decided once.
    event_id         uuid PRIMARY KEY
                     REFERENCES modules.site_login_requests (request_id) ON DELETE CASCADE,
    site_id          uuid NOT NULL,
    kind             text NOT NULL CHECK (kind IN ('approved', 'denied', 'expired')),
    agent_id         uuid,
    redirect_url     text,
    created_at       timestamptz NOT NULL,
    deliver_until    timestamptz NOT NULL,
    leased_to        text,
    leased_until     timestamptz,
    acknowledged_at  timestamptz
) WITH (fillfactor = 70);
-- What is still to be delivered to a site, oldest first. Few rows at any time. The acknowledgement
-- must not use it (it finds its rows by id), or it would visit what others just acknowledged.
CREATE INDEX site_login_events_due
    ON modules.site_login_events (site_id, created_at) WHERE acknowledged_at IS NULL;
-- What streams that see every event may have missed.
CREATE INDEX site_login_events_recent ON modules.site_login_events (site_id, created_at);
-- What the sweep deletes.
CREATE INDEX site_login_events_age ON modules.site_login_events (deliver_until);
