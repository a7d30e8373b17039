-- Records: small documents under keys, such as the accounts.

CREATE TABLE callgate.record (
  app text NOT NULL,
  -- In the order of its bytes, as every other store sorts it.
  key text COLLATE "C" NOT NULL,
  value bytea NOT NULL,
  PRIMARY KEY (app, key)
);

-- Changes records, all of them or none. Returns false if one has another value than expected; NULL
-- is no record. Writers of one application take turns, so what was compared is what is replaced.
CREATE FUNCTION callgate.write_records_v1(
  p_app text, p_keys text[], p_expected bytea[], p_values bytea[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_held bytea;
BEGIN
  PERFORM callgate.prepare_v1();
  PERFORM callgate.fence_v1(false);
  PERFORM pg_advisory_xact_lock(hashtext('callgate.record'), hashtext(p_app));
  FOR n IN 1 .. cardinality(p_keys) LOOP
    SELECT r.value INTO v_held FROM callgate.record r WHERE r.app = p_app AND r.key = p_keys[n];
    IF v_held IS DISTINCT FROM p_expected[n] THEN
      RETURN false;
    END IF;
  END LOOP;
  FOR n IN 1 .. cardinality(p_keys) LOOP
    IF p_values[n] IS NULL THEN
      DELETE FROM callgate.record r WHERE r.app = p_app AND r.key = p_keys[n];
    ELSE
      INSERT INTO callgate.record AS r (app, key, value) VALUES (p_app, p_keys[n], p_values[n])
      ON CONFLICT ON CONSTRAINT record_pkey DO UPDATE SET value = EXCLUDED.value;
    END IF;
  END LOOP;
  RETURN true;
END
$$;
