-- The tables of version 1. The name of the schema replaces `callgate` when this is executed.
--
-- Times are milliseconds since the epoch. A list of fixed-width entries is one value of bytes: it
-- is read, written and searched as a unit, and the entries contain no NULL and no text. Nothing is
-- UNLOGGED, because every acknowledged write must survive a crash of the server.

CREATE TABLE callgate.session (
  app text NOT NULL,
  id bytea NOT NULL CHECK (octet_length(id) = 16),
  -- Changes with every commit, claim and end.
  version bigint NOT NULL CHECK (version > 0),
  seen_at bigint NOT NULL,
  idle_ms bigint NOT NULL,
  absolute_at bigint NOT NULL,
  -- An ended row has no content.
  ended_at bigint,
  -- When the sweep checks it. For a living session that may be too early and is never too late, so
  -- that most uses change no index.
  due_at bigint NOT NULL,
  doc bytea NOT NULL,
  joined bytea[] NOT NULL,
  -- 32 bytes each: the digest.
  devices bytea NOT NULL CHECK (octet_length(devices) % 32 = 0),
  -- 48 bytes each: digest 32, name 8, expiry 8 (big endian).
  unspent bytea NOT NULL CHECK (octet_length(unspent) % 48 = 0),
  -- 44 bytes each: digest 32, moment 8, size 4 (big endian).
  answers bytea NOT NULL CHECK (octet_length(answers) % 44 = 0),
  -- The size of a guest; NULL for a session that is not a guest, or has ended.
  guest_bytes integer,
  PRIMARY KEY (app, id)
) WITH (
  fillfactor = 80,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_analyze_scale_factor = 0.02,
  toast.autovacuum_vacuum_scale_factor = 0.02
);

CREATE INDEX session_due ON callgate.session (app, due_at);
-- The order of eviction of guests: those that hold an unspent token last.
CREATE INDEX session_guest ON callgate.session (app, (unspent <> ''::bytea), seen_at, id)
  INCLUDE (guest_bytes) WHERE guest_bytes IS NOT NULL;

CREATE TABLE callgate.token (
  app text NOT NULL,
  digest bytea NOT NULL CHECK (octet_length(digest) = 32),
  id bytea NOT NULL CHECK (octet_length(id) = 8),
  session bytea NOT NULL CHECK (octet_length(session) = 16),
  expires_at bigint NOT NULL,
  forget_at bigint NOT NULL,
  handlers text[] NOT NULL,
  -- 0 auto, 1 share, 2 context, 3 transfer; NULL if the mint did not set it.
  mode smallint,
  -- 0 never or not set, 1 from foreign browsers, 2 always.
  confirm smallint NOT NULL,
  binding bytea,
  -- The epoch of the database that acknowledged the mint; empty grants nothing.
  fence text NOT NULL,
  claim bytea,
  claimed_at bigint,
  run bytea NOT NULL,
  answer bytea NOT NULL,
  doc bytea NOT NULL,
  PRIMARY KEY (app, digest)
) WITH (
  fillfactor = 80,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_analyze_scale_factor = 0.02,
  toast.autovacuum_vacuum_scale_factor = 0.02
);

CREATE INDEX token_name ON callgate.token (app, id) WHERE claim IS NULL;
CREATE INDEX token_forget ON callgate.token (app, forget_at);
