-- SPDX-License-Identifier: Apache-2.0
-- What only PostgreSQL itself understands: left out where an engine refuses it.
-- Tripwires, not security: our own mistakes, and a careless hand at the command line.

-- Hashes do not compress.
ALTER TABLE tile ALTER COLUMN hashes SET STORAGE EXTERNAL;

CREATE FUNCTION tally_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'tripwire: % is append-only', TG_TABLE_NAME;
END $$;

CREATE FUNCTION tally_log_head_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.next_index < OLD.next_index OR NEW.last_ms < OLD.last_ms THEN
        RAISE EXCEPTION 'tripwire: the log head only grows';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION tally_tree_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.size < OLD.size THEN
        RAISE EXCEPTION 'tripwire: the tree only grows';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION tally_checkpoint_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.note IS NOT NULL OR NEW.number <> OLD.number OR NEW.time_s <> OLD.time_s
        OR NEW.size <> OLD.size THEN
        RAISE EXCEPTION 'tripwire: a checkpoint is written once';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION tally_checkpoint_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM (SELECT * FROM checkpoint ORDER BY number DESC LIMIT 1) AS newest
        WHERE number >= NEW.number OR time_s > NEW.time_s OR size > NEW.size OR note IS NULL
    ) THEN
        RAISE EXCEPTION 'tripwire: checkpoints only grow, one after the other';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER batch_tripwire BEFORE UPDATE OR DELETE ON batch
    FOR EACH ROW EXECUTE FUNCTION tally_append_only();
CREATE TRIGGER entry_tripwire BEFORE UPDATE OR DELETE ON entry
    FOR EACH ROW EXECUTE FUNCTION tally_append_only();
CREATE TRIGGER body_tripwire BEFORE UPDATE OR DELETE ON body
    FOR EACH ROW EXECUTE FUNCTION tally_append_only();
CREATE TRIGGER tile_tripwire BEFORE UPDATE OR DELETE ON tile
    FOR EACH ROW EXECUTE FUNCTION tally_append_only();
CREATE TRIGGER head_tripwire BEFORE UPDATE OR DELETE ON head
    FOR EACH ROW EXECUTE FUNCTION tally_append_only();
CREATE TRIGGER batch_truncate BEFORE TRUNCATE ON batch
    FOR EACH STATEMENT EXECUTE FUNCTION tally_append_only();
CREATE TRIGGER entry_truncate BEFORE TRUNCATE ON entry
    FOR EACH STATEMENT EXECUTE FUNCTION tally_append_only();
CREATE TRIGGER body_truncate BEFORE TRUNCATE ON body
    FOR EACH STATEMENT EXECUTE FUNCTION tally_append_only();
CREATE TRIGGER tile_truncate BEFORE TRUNCATE ON tile
    FOR EACH STATEMENT EXECUTE FUNCTION tally_append_only();
CREATE TRIGGER head_truncate BEFORE TRUNCATE ON head
    FOR EACH STATEMENT EXECUTE FUNCTION tally_append_only();
CREATE TRIGGER chain_truncate BEFORE TRUNCATE ON chain
    FOR EACH STATEMENT EXECUTE FUNCTION tally_append_only();
CREATE TRIGGER log_head_truncate BEFORE TRUNCATE ON log_head
    FOR EACH STATEMENT EXECUTE FUNCTION tally_append_only();
CREATE TRIGGER tree_truncate BEFORE TRUNCATE ON tree
    FOR EACH STATEMENT EXECUTE FUNCTION tally_append_only();
CREATE TRIGGER checkpoint_truncate BEFORE TRUNCATE ON checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION tally_append_only();
CREATE TRIGGER chain_delete BEFORE DELETE ON chain
    FOR EACH ROW EXECUTE FUNCTION tally_append_only();
CREATE TRIGGER log_head_delete BEFORE DELETE ON log_head
    FOR EACH ROW EXECUTE FUNCTION tally_append_only();
CREATE TRIGGER tree_delete BEFORE DELETE ON tree
    FOR EACH ROW EXECUTE FUNCTION tally_append_only();
CREATE TRIGGER checkpoint_delete BEFORE DELETE ON checkpoint
    FOR EACH ROW EXECUTE FUNCTION tally_append_only();
CREATE TRIGGER log_head_update BEFORE UPDATE ON log_head
    FOR EACH ROW EXECUTE FUNCTION tally_log_head_grows();
CREATE TRIGGER tree_update BEFORE UPDATE ON tree
    FOR EACH ROW EXECUTE FUNCTION tally_tree_grows();
CREATE TRIGGER checkpoint_update BEFORE UPDATE ON checkpoint
    FOR EACH ROW EXECUTE FUNCTION tally_checkpoint_once();
CREATE TRIGGER checkpoint_insert BEFORE INSERT ON checkpoint
    FOR EACH ROW EXECUTE FUNCTION tally_checkpoint_grows();
