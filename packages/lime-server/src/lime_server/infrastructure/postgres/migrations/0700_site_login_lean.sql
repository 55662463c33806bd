-- What every login writes, and nothing beside it.
-- Request ids begin with the time they were made, so the primary keys are in the order of age: what
-- the sweep deletes is found by them. The references are gone because each insert paid for them with
-- a lock on the row it points to: a site is never taken out of its table, and an event is written in
-- the statement that found its request.

DROP INDEX modules.site_login_requests_age;
DROP INDEX modules.site_login_events_age;
ALTER TABLE modules.site_login_requests DROP CONSTRAINT site_login_requests_site_id_fkey;
ALTER TABLE modules.site_login_events DROP CONSTRAINT site_login_events_event_id_fkey;

-- What the sweep expires. By `decided_at`, which says the same as the state: an index that mentions
-- the state has to be told when a request becomes DELIVERED, and with it every other index.
DROP INDEX modules.site_login_requests_pending;
CREATE INDEX site_login_requests_pending
    ON modules.site_login_requests (expires_at) WHERE decided_at IS NULL;

-- Room on each page for the row as it is once it was approved, and once it was delivered.
ALTER TABLE modules.site_login_requests SET (fillfactor = 60);
