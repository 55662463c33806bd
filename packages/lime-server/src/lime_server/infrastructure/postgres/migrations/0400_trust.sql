-- Who may act, who decides that, and what was done.

-- By an operator, and apart from `active`, which is the owner's own switch.
ALTER TABLE core.agents ADD COLUMN suspended boolean NOT NULL DEFAULT false;

-- The audit log: a chain of entries for each owner (foundation/audit.py). No foreign keys: what was
-- done stays on record, whatever becomes of whom it concerns.
CREATE TABLE foundation.audit_entries (
    owner_id     uuid NOT NULL,
    sequence     bigint NOT NULL CHECK (sequence > 0),
    entry_id     uuid NOT NULL,
    at           timestamptz NOT NULL,
    actor_kind   text NOT NULL,
    actor_id     text NOT NULL,
    action       text NOT NULL,
    target_kind  text,
    target_id    text,
    request_id   text,
    address      text,
    -- Text rather than jsonb: it is read as it was hashed.
    detail       text NOT NULL,
    previous     bytea NOT NULL,
    hash         bytea NOT NULL,
    PRIMARY KEY (owner_id, sequence),
    CHECK ((target_kind IS NULL) = (target_id IS NULL))
);

-- One row for each chain: its lock is what makes two writers one after the other.
CREATE TABLE foundation.audit_heads (
    owner_id  uuid PRIMARY KEY,
    sequence  bigint NOT NULL,
    hash      bytea NOT NULL,
    seal      bytea NOT NULL
);

CREATE FUNCTION foundation.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER audit_entries_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON foundation.audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION foundation.refuse_change();
CREATE TRIGGER audit_heads_stay BEFORE DELETE OR TRUNCATE ON foundation.audit_heads
    FOR EACH STATEMENT EXECUTE FUNCTION foundation.refuse_change();
