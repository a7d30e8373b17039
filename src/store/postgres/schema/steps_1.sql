-- The steps of version 1, each of them one call that reads, decides and writes in one round trip.
--
-- A function whose name ends in a version is never changed, because nodes of an older callgate
-- call it while newer ones call its successor. Every step locks the row of the session first and
-- its tokens afterwards, so that no two steps deadlock. They are written for READ COMMITTED, where
-- each statement sees what was committed before it began.

-- Makes a result durable, whatever the role, the database or a pooler has set: the commit waits
-- for the disk, and for the standbys where the server requires them. The lock timeout bounds every
-- wait for a lock.
CREATE FUNCTION callgate.prepare_v1() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  IF current_setting('lock_timeout') = '0' THEN
    PERFORM set_config('lock_timeout', '500ms', true);
  END IF;
END
$$;

-- The epoch of the database. Its timeline changes when a standby takes over or an archive is
-- recovered. Its cluster and its table change when a dump is restored. Fails on a standby.
CREATE FUNCTION callgate.fence_v1(p_fence boolean) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  IF pg_is_in_recovery() THEN
    RAISE read_only_sql_transaction USING MESSAGE = 'the server is a standby';
  END IF;
  IF NOT p_fence THEN
    RETURN 'off';
  END IF;
  RETURN substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)
    || '.' || (SELECT c.system_identifier FROM pg_control_system() AS c)
    || '.' || 'callgate.token'::regclass::oid;
END
$$;

-- When the last of a session's unspent tokens expires; 0 if it has none.
CREATE FUNCTION callgate.needed_v1(p_unspent bytea) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT COALESCE(max(('x' || encode(substring(p_unspent FROM n * 48 + 41 FOR 8), 'hex'))::bit(64)::bigint), 0)
  FROM generate_series(0, octet_length(p_unspent) / 48 - 1) AS n
$$;

-- When a session ends: by its idle timeout, extended by its unspent tokens, or by its absolute
-- limit.
CREATE FUNCTION callgate.ends_v1(p_seen bigint, p_idle bigint, p_absolute bigint, p_unspent bytea)
RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT LEAST(GREATEST(p_seen + p_idle, CASE WHEN p_unspent = '' THEN 0 ELSE callgate.needed_v1(p_unspent) END), p_absolute)
$$;

-- When the sweep should check a living session. A use moves this time only once half of the idle
-- timeout is used up. A busy session is then never due, and most of its uses still change no
-- index. The time is never later than the end of the session.
CREATE FUNCTION callgate.due_v1(
  p_due bigint, p_seen bigint, p_idle bigint, p_absolute bigint, p_unspent bytea
) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE
    WHEN p_due < LEAST(p_seen + p_idle / 2, p_absolute)
      OR p_due > callgate.ends_v1(p_seen, p_idle, p_absolute, p_unspent)
    THEN callgate.ends_v1(p_seen, p_idle, p_absolute, p_unspent)
    ELSE p_due
  END
$$;

-- As `place_v1`, entry by entry.
CREATE FUNCTION callgate.scan_v1(p_list bytea, p_start bytea, p_bytes integer) RETURNS integer
LANGUAGE sql IMMUTABLE AS $$
  SELECT COALESCE(min(n * p_bytes + 1), 0)
  FROM generate_series(0, octet_length(p_list) / p_bytes - 1) AS n
  WHERE substring(p_list FROM n * p_bytes + 1 FOR octet_length(p_start)) = p_start
$$;

-- The position of the entry with this prefix in a list whose entries have this many bytes; 0 if
-- there is none. The first match is hardly ever between two entries, where it means nothing.
CREATE FUNCTION callgate.place_v1(p_list bytea, p_start bytea, p_bytes integer) RETURNS integer
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE
    WHEN position(p_start IN p_list) = 0 THEN 0
    WHEN position(p_start IN p_list) % p_bytes = 1 THEN position(p_start IN p_list)
    ELSE callgate.scan_v1(p_list, p_start, p_bytes)
  END
$$;

-- Reading is a function as well: an unnamed statement is planned each time, and a call takes no
-- planning.
CREATE FUNCTION callgate.read_v1(p_app text, p_id bytea) RETURNS callgate.session
LANGUAGE plpgsql AS $$
DECLARE
  v_session callgate.session;
BEGIN
  PERFORM callgate.fence_v1(false);
  SELECT s.* INTO v_session FROM callgate.session s WHERE s.app = p_app AND s.id = p_id;
  RETURN v_session;
END
$$;

-- Finds a token by its digest, or, if that is NULL, by its name while it is unclaimed.
CREATE FUNCTION callgate.find_v1(
  p_app text, p_fence boolean, p_token bytea, p_name bytea,
  OUT found_token callgate.token, OUT fenced boolean, OUT found_session callgate.session
) LANGUAGE plpgsql AS $$
DECLARE
  v_fence text := callgate.fence_v1(p_fence);
  v_token bytea := p_token;
  v_pair record;
BEGIN
  IF v_token IS NULL THEN
    SELECT t.digest INTO v_token FROM callgate.token t
    WHERE t.app = p_app AND t.id = p_name AND t.claim IS NULL LIMIT 1;
  END IF;
  SELECT t AS token, s AS session INTO v_pair
  FROM callgate.token t LEFT JOIN callgate.session s ON s.app = t.app AND s.id = t.session
  WHERE t.app = p_app AND t.digest = v_token AND (p_token IS NOT NULL OR t.claim IS NULL);
  IF FOUND THEN
    found_token := v_pair.token;
    found_session := v_pair.session;
    fenced := found_token.fence = v_fence;
  END IF;
END
$$;

-- A copy of a part of Token::judge (src/token/mod.rs): both must be changed together.
CREATE FUNCTION callgate.claim_v1(
  p_app text, p_fence boolean, p_now bigint, p_token bytea, p_claim bytea, p_handler text,
  p_row_mode smallint, p_auto_shares boolean,
  p_click smallint, p_browser bytea, p_signed_in bytea,
  p_current bytea, p_current_digest bytea,
  p_newcomer_digest bytea, p_newcomer bytea,
  p_run bytea, p_run_until bigint, p_devices_max integer, p_next bigint,
  OUT granted boolean, OUT fenced boolean,
  OUT found_token callgate.token, OUT found_session callgate.session
) LANGUAGE plpgsql AS $$
DECLARE
  v_fence text := callgate.fence_v1(p_fence);
  v_pair record;
  v_token callgate.token;
  v_session callgate.session;
  v_mode smallint;
  v_wish smallint;
  v_joins boolean;
  v_place integer;
  v_unspent bytea;
  v_locked boolean := false;
BEGIN
  granted := false;
  -- The first pass takes no lock, because most refusals are final and write nothing. The second
  -- pass decides again under the lock.
  LOOP
    found_token := NULL;
    found_session := NULL;
    SELECT t AS token, s AS session INTO v_pair
    FROM callgate.token t LEFT JOIN callgate.session s ON s.app = t.app AND s.id = t.session
    WHERE t.app = p_app AND t.digest = p_token;
    IF NOT FOUND THEN
      RETURN;
    END IF;
    v_token := v_pair.token;
    v_session := v_pair.session;
    found_token := v_token;
    found_session := v_session;
    fenced := v_token.fence = v_fence;

    IF v_token.claim IS NOT NULL OR NOT fenced OR v_token.expires_at <= p_now
      OR NOT (v_token.handlers = '{}' OR p_handler = ANY (v_token.handlers))
      OR v_session.version IS NULL OR v_session.ended_at IS NOT NULL
      OR callgate.ends_v1(v_session.seen_at, v_session.idle_ms, v_session.absolute_at,
        v_session.unspent) <= p_now
    THEN
      RETURN;
    END IF;

    v_mode := COALESCE(v_token.mode, p_row_mode);
    IF v_mode = 0 THEN
      v_mode := CASE WHEN p_auto_shares THEN 1 ELSE 2 END;
    END IF;
    IF v_mode = 3 OR (v_mode <> 2 AND p_signed_in <> v_token.session) THEN
      RETURN;
    END IF;

    v_wish := GREATEST(p_click, CASE WHEN p_click IS NOT NULL THEN v_token.confirm END);
    IF v_wish = 2 OR (v_wish = 1 AND (v_token.binding = p_browser) IS NOT TRUE) THEN
      RETURN;
    END IF;

    v_joins := v_mode <> 2 AND (
      p_current = v_token.session
      AND callgate.place_v1(v_session.devices, p_current_digest, 32) > 0
    ) IS NOT TRUE;
    v_place := callgate.place_v1(v_session.unspent, p_token, 48);
    IF v_joins AND octet_length(v_session.devices) / 32 >= p_devices_max THEN
      RETURN;
    END IF;

    EXIT WHEN v_locked;
    PERFORM callgate.prepare_v1();
    PERFORM 1 FROM callgate.session s WHERE s.app = p_app AND s.id = v_token.session FOR UPDATE;
    v_locked := true;
  END LOOP;

  v_unspent := CASE WHEN v_place > 0
    THEN substring(v_session.unspent FROM 1 FOR v_place - 1)
      || substring(v_session.unspent FROM v_place + 48)
    ELSE v_session.unspent END;
  UPDATE callgate.token t
  SET claim = p_claim, claimed_at = p_now, run = COALESCE(p_run, t.run),
    forget_at = GREATEST(t.forget_at, p_run_until)
  WHERE t.app = p_app AND t.digest = p_token;
  IF NOT FOUND THEN
    -- The sweep, which locks no session for a token, has just forgotten it.
    found_token := NULL;
    found_session := NULL;
    RETURN;
  END IF;
  UPDATE callgate.session s
  SET version = p_next,
    seen_at = GREATEST(s.seen_at, p_now),
    due_at = callgate.due_v1(s.due_at, GREATEST(s.seen_at, p_now), s.idle_ms, s.absolute_at, v_unspent),
    unspent = v_unspent,
    joined = CASE WHEN v_joins THEN s.joined || p_newcomer ELSE s.joined END,
    devices = CASE WHEN v_joins THEN s.devices || p_newcomer_digest ELSE s.devices END
  WHERE s.app = p_app AND s.id = v_token.session;
  granted := true;
END
$$;

-- `outcome`: 0 done, 1 stale, 2 a token with this digest exists, 3 the fence does not hold.
CREATE FUNCTION callgate.commit_v1(
  p_app text, p_fence boolean, p_id bytea,
  -- 0 expects no row.
  p_expect bigint, p_next bigint, p_expect_seen bigint, p_expect_fence bytea,
  -- The new row, if `p_doc` is not NULL.
  p_seen_at bigint, p_idle_ms bigint, p_absolute_at bigint, p_ended_at bigint, p_due_at bigint,
  p_doc bytea, p_joined bytea[], p_devices bytea, p_unspent bytea, p_answers bytea, p_guest boolean,
  -- The token that is minted, if `p_mint` is not NULL.
  p_mint bytea, p_mint_id bytea, p_mint_expires_at bigint, p_mint_forget_at bigint,
  p_mint_handlers text[], p_mint_mode smallint, p_mint_confirm smallint, p_mint_binding bytea,
  p_mint_claim bytea, p_mint_claimed_at bigint,
  p_mint_run bytea, p_mint_answer bytea, p_mint_doc bytea,
  p_claimed bytea[], p_claims bytea[], p_claims_at bigint[], p_claims_until bigint[],
  p_ran bytea[], p_runs bytea[], p_run_answers bytea[], p_runs_until bigint[],
  p_unanswered bytea[], p_voided bytea[], p_dropped bytea[],
  OUT outcome integer, OUT found_session callgate.session
) LANGUAGE plpgsql AS $$
DECLARE
  v_fence text := callgate.fence_v1(p_fence);
  v_session callgate.session;
BEGIN
  PERFORM callgate.prepare_v1();
  SELECT s.* INTO v_session FROM callgate.session s WHERE s.app = p_app AND s.id = p_id FOR UPDATE;
  IF COALESCE(v_session.version, 0) <> p_expect OR v_session.seen_at <> p_expect_seen THEN
    outcome := 1;
    found_session := v_session;
    RETURN;
  END IF;
  IF p_expect_fence IS NOT NULL AND NOT EXISTS (
    SELECT FROM callgate.token t
    WHERE t.app = p_app AND t.digest = p_expect_fence AND t.fence = v_fence
  ) THEN
    outcome := 3;
    RETURN;
  END IF;
  IF p_mint IS NOT NULL AND EXISTS (
    SELECT FROM callgate.token t WHERE t.app = p_app AND t.digest = p_mint
  ) THEN
    outcome := 2;
    RETURN;
  END IF;

  IF p_expect = 0 THEN
    INSERT INTO callgate.session (app, id, version, seen_at, idle_ms, absolute_at, ended_at, due_at,
      doc, joined, devices, unspent, answers, guest_bytes)
    VALUES (p_app, p_id, p_next, p_seen_at, p_idle_ms, p_absolute_at, p_ended_at, p_due_at,
      p_doc, p_joined, p_devices, p_unspent, p_answers,
      CASE WHEN p_guest THEN octet_length(p_doc) END)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      outcome := 1;
      SELECT s.* INTO found_session FROM callgate.session s WHERE s.app = p_app AND s.id = p_id;
      RETURN;
    END IF;
  ELSIF p_doc IS NULL THEN
    UPDATE callgate.session s SET version = p_next WHERE s.app = p_app AND s.id = p_id;
  ELSE
    UPDATE callgate.session s
    SET version = p_next, seen_at = GREATEST(s.seen_at, p_seen_at), idle_ms = p_idle_ms,
      absolute_at = p_absolute_at, ended_at = p_ended_at,
      due_at = CASE
        WHEN p_ended_at IS NOT NULL THEN p_due_at
        ELSE callgate.due_v1(s.due_at, GREATEST(s.seen_at, p_seen_at), p_idle_ms, p_absolute_at,
          p_unspent)
      END,
      doc = p_doc, joined = p_joined, devices = p_devices, unspent = p_unspent, answers = p_answers,
      guest_bytes = CASE WHEN p_guest THEN octet_length(p_doc) END
    WHERE s.app = p_app AND s.id = p_id;
  END IF;

  IF p_dropped <> '{}' THEN
    DELETE FROM callgate.token t
    WHERE t.app = p_app AND t.digest = ANY (p_dropped) AND t.claim IS NULL;
  END IF;
  IF p_claimed <> '{}' THEN
    UPDATE callgate.token t
    SET claim = m.claim, claimed_at = m.claimed_at, forget_at = LEAST(t.forget_at, m.forget_at)
    FROM unnest(p_claimed, p_claims, p_claims_at, p_claims_until)
      AS m(digest, claim, claimed_at, forget_at)
    WHERE t.app = p_app AND t.digest = m.digest;
  END IF;
  IF p_ran <> '{}' THEN
    UPDATE callgate.token t
    SET run = m.run, answer = m.answer, forget_at = GREATEST(t.forget_at, m.forget_at)
    FROM unnest(p_ran, p_runs, p_run_answers, p_runs_until) AS m(digest, run, answer, forget_at)
    WHERE t.app = p_app AND t.digest = m.digest;
  END IF;
  IF p_unanswered <> '{}' THEN
    UPDATE callgate.token t SET answer = '' WHERE t.app = p_app AND t.digest = ANY (p_unanswered);
  END IF;
  IF p_voided <> '{}' THEN
    UPDATE callgate.token t SET fence = '' WHERE t.app = p_app AND t.digest = ANY (p_voided);
  END IF;
  IF p_mint IS NOT NULL THEN
    INSERT INTO callgate.token (app, digest, id, session, expires_at, forget_at, handlers, mode,
      confirm, binding, fence, claim, claimed_at, run, answer, doc)
    VALUES (p_app, p_mint, p_mint_id, p_id, p_mint_expires_at, p_mint_forget_at, p_mint_handlers,
      p_mint_mode, p_mint_confirm, p_mint_binding, v_fence, p_mint_claim, p_mint_claimed_at,
      p_mint_run, p_mint_answer, p_mint_doc);
  END IF;
  IF p_ended_at IS NOT NULL AND v_session.ended_at IS NULL THEN
    PERFORM callgate.orphan_v1(p_app, v_session.unspent, p_due_at);
  END IF;
  outcome := 0;
END
$$;

-- Shortens the memory of a session's unclaimed tokens to that of the ended session. That is long
-- enough to report why they are refused, while a token may have been minted for a year.
CREATE FUNCTION callgate.orphan_v1(p_app text, p_unspent bytea, p_forget_at bigint) RETURNS void
LANGUAGE sql AS $$
  UPDATE callgate.token t SET forget_at = LEAST(t.forget_at, p_forget_at)
  FROM generate_series(0, octet_length(p_unspent) / 48 - 1) AS n
  WHERE t.app = p_app AND t.digest = substring(p_unspent FROM n * 48 + 1 FOR 32)
    AND t.claim IS NULL
$$;

CREATE FUNCTION callgate.touch_v1(p_app text, p_ids bytea[], p_uses bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM callgate.fence_v1(false);
  PERFORM callgate.prepare_v1();
  -- In the order of the ids, so that two calls do not deadlock.
  PERFORM 1 FROM callgate.session s
  WHERE s.app = p_app AND s.id = ANY (p_ids) AND s.ended_at IS NULL ORDER BY s.id FOR UPDATE;
  UPDATE callgate.session s
  SET seen_at = used.at, due_at = callgate.due_v1(s.due_at, used.at, s.idle_ms, s.absolute_at, s.unspent)
  FROM (
    SELECT u.id, max(u.at) AS at FROM unnest(p_ids, p_uses) AS u(id, at) GROUP BY u.id
  ) AS used
  WHERE s.app = p_app AND s.id = used.id AND s.ended_at IS NULL AND s.seen_at < used.at;
END
$$;

-- Rows that another transaction has locked are left for the next sweep. A living session whose row
-- was due too early gets a later time, which does not count as a dropped row.
CREATE FUNCTION callgate.sweep_v1(
  p_app text, p_now bigint, p_at_most integer, p_tombstone_ms bigint
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  v_due bytea[];
  v_gone bytea[];
  v_over bytea[];
  v_swept integer;
  v_count integer;
BEGIN
  PERFORM callgate.fence_v1(false);
  PERFORM callgate.prepare_v1();
  SELECT array_agg(due.id ORDER BY due.due_at) INTO v_due FROM (
    SELECT s.id, s.due_at FROM callgate.session s WHERE s.app = p_app AND s.due_at <= p_now
    ORDER BY s.due_at LIMIT p_at_most * 2 FOR UPDATE SKIP LOCKED
  ) AS due;
  UPDATE callgate.session s
  SET due_at = callgate.ends_v1(s.seen_at, s.idle_ms, s.absolute_at, s.unspent)
  WHERE s.app = p_app AND s.id = ANY (v_due) AND s.ended_at IS NULL
    AND callgate.ends_v1(s.seen_at, s.idle_ms, s.absolute_at, s.unspent) > p_now;

  -- The limited set is selected first, because a plan may run a subquery of a DELETE more than
  -- once.
  SELECT array_agg(gone.id) INTO v_gone FROM (
    SELECT s.id FROM callgate.session s
    WHERE s.app = p_app AND s.id = ANY (v_due) AND s.ended_at IS NOT NULL
    LIMIT p_at_most
  ) AS gone;
  DELETE FROM callgate.session s WHERE s.app = p_app AND s.id = ANY (v_gone);
  GET DIAGNOSTICS v_swept = ROW_COUNT;

  SELECT array_agg(over.id) INTO v_over FROM (
    SELECT s.id FROM callgate.session s
    WHERE s.app = p_app AND s.id = ANY (v_due) AND s.ended_at IS NULL AND s.due_at <= p_now
    LIMIT p_at_most - v_swept
  ) AS over;
  PERFORM callgate.orphan_v1(p_app, s.unspent, p_now + p_tombstone_ms)
  FROM callgate.session s WHERE s.app = p_app AND s.id = ANY (v_over) AND s.unspent <> '';
  UPDATE callgate.session s
  SET version = s.version + 1, ended_at = p_now, due_at = p_now + p_tombstone_ms,
    idle_ms = 0, absolute_at = 0, doc = '', joined = '{}', devices = '', unspent = '',
    guest_bytes = NULL
  WHERE s.app = p_app AND s.id = ANY (v_over);
  GET DIAGNOSTICS v_count = ROW_COUNT;
  v_swept := v_swept + v_count;

  SELECT array_agg(gone.digest) INTO v_gone FROM (
    SELECT t.digest FROM callgate.token t WHERE t.app = p_app AND t.forget_at <= p_now
    ORDER BY t.forget_at LIMIT p_at_most - v_swept FOR UPDATE SKIP LOCKED
  ) AS gone;
  DELETE FROM callgate.token t WHERE t.app = p_app AND t.digest = ANY (v_gone);
  GET DIAGNOSTICS v_count = ROW_COUNT;
  RETURN v_swept + v_count;
END
$$;

-- Drops guests with their unspent tokens, in order, until the others fit. Rows that another
-- transaction has locked are in use and are skipped.
CREATE FUNCTION callgate.trim_v1(
  p_app text, p_guests bigint, p_bytes bigint, p_at_most integer, p_spared bytea,
  OUT guests bigint, OUT bytes bigint, OUT dropped integer
) LANGUAGE plpgsql AS $$
DECLARE
  v_ids bytea[];
  v_tokens bytea[];
  v_bytes bigint;
BEGIN
  PERFORM callgate.fence_v1(false);
  PERFORM callgate.prepare_v1();
  dropped := 0;
  SELECT count(*), COALESCE(sum(s.guest_bytes), 0) INTO guests, bytes
  FROM callgate.session s WHERE s.app = p_app AND s.guest_bytes IS NOT NULL;
  IF guests <= p_guests AND bytes <= p_bytes THEN
    RETURN;
  END IF;
  SELECT array_agg(first.id) INTO v_ids FROM (
    SELECT s.id, s.guest_bytes,
      row_number() OVER by_rank AS place, sum(s.guest_bytes) OVER by_rank AS taken
    FROM callgate.session s
    WHERE s.app = p_app AND s.guest_bytes IS NOT NULL AND s.id IS DISTINCT FROM p_spared
    WINDOW by_rank AS (ORDER BY s.unspent <> ''::bytea, s.seen_at, s.id)
    ORDER BY s.unspent <> ''::bytea, s.seen_at, s.id LIMIT p_at_most
  ) AS first
  WHERE first.place <= guests - p_guests OR first.taken - first.guest_bytes < bytes - p_bytes;
  SELECT array_agg(locked.id) INTO v_ids FROM (
    SELECT s.id FROM callgate.session s
    WHERE s.app = p_app AND s.id = ANY (v_ids) AND s.guest_bytes IS NOT NULL
    ORDER BY s.id FOR UPDATE SKIP LOCKED
  ) AS locked;
  SELECT array_agg(substring(s.unspent FROM n * 48 + 1 FOR 32)) INTO v_tokens
  FROM callgate.session s, generate_series(0, octet_length(s.unspent) / 48 - 1) AS n
  WHERE s.app = p_app AND s.id = ANY (v_ids);
  DELETE FROM callgate.token t
  WHERE t.app = p_app AND t.digest = ANY (v_tokens) AND t.claim IS NULL;
  WITH gone AS (
    DELETE FROM callgate.session s WHERE s.app = p_app AND s.id = ANY (v_ids)
    RETURNING s.guest_bytes
  )
  SELECT count(*), COALESCE(sum(gone.guest_bytes), 0) INTO dropped, v_bytes FROM gone;
  guests := guests - dropped;
  bytes := bytes - v_bytes;
END
$$;
