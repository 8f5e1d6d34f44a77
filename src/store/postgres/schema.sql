-- Schema 1 of a store in PostgreSQL. `@` stands for the schema's name. The journal is the truth; the
-- other tables are an index of it, written in the same transaction, and their constraints refuse what
-- the journal's own checks must never let through.
CREATE SCHEMA IF NOT EXISTS @;

CREATE TABLE @.store (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    id text NOT NULL,
    schema integer NOT NULL,
    -- The first version of the program that reads this schema.
    since text NOT NULL
);

-- Append-only: nobody but its owner may update or remove a line. `line` is the exact line without its
-- line feed, `digest` its SHA-256, which the next line carries. `rollout` is the entry of the rollout's
-- submission; `kind` is 0 submission, 1 rollout, 2 change, 3 enforcement.
CREATE TABLE @.journal (
    seq bigint PRIMARY KEY CHECK (seq > 0),
    rollout bigint NOT NULL,
    kind smallint NOT NULL,
    line bytea NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32)
);
CREATE INDEX journal_of_rollout ON @.journal (rollout, seq);
CREATE INDEX journal_of_rollout_itself ON @.journal (rollout, seq) WHERE kind < 2;

-- The exact bytes of what was submitted, in blocks.
CREATE TABLE @.submissions (
    digest bytea PRIMARY KEY,
    bytes bigint NOT NULL,
    blocks integer NOT NULL
);
CREATE TABLE @.blocks (
    digest bytea NOT NULL,
    block integer NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (digest, block)
);

CREATE TABLE @.rollouts (
    first bigint PRIMARY KEY,
    id bytea NOT NULL UNIQUE,
    name text NOT NULL,
    revision bigint NOT NULL,
    submission bytea NOT NULL REFERENCES @.submissions,
    UNIQUE (name, revision)
);

-- A change that has moved: which line moved it last. Only `standing` is indexed and moves, in once and
-- out once, so nearly all updates stay on their page.
CREATE TABLE @.changes (
    rollout bigint NOT NULL,
    ordinal integer NOT NULL,
    seq bigint NOT NULL,
    standing smallint NOT NULL,
    state text NOT NULL,
    instance text NOT NULL,
    PRIMARY KEY (rollout, ordinal)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
CREATE UNIQUE INDEX one_active_an_instance ON @.changes (instance) WHERE standing = 1;
CREATE INDEX changes_by_standing ON @.changes (rollout, standing, ordinal);

-- Job ids that are explained, by when they were learnt.
CREATE TABLE @.jobs (
    instance text NOT NULL,
    job text NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (instance, job)
);

CREATE TABLE @.enforcements (
    name text PRIMARY KEY,
    seq bigint NOT NULL
);

-- Daemons and the keepers of lanes, written by heartbeats. `beat` grows with each one in `content`, and a row
-- that stands still is one of a daemon that does; `lapsed`: a lane of it was taken over since, and no commit
-- of this run is taken before its next heartbeat. `note` and `at` are for people.
CREATE TABLE @.daemons (
    name text PRIMARY KEY,
    run bigint NOT NULL,
    lapsed boolean NOT NULL,
    content text NOT NULL,
    note text NOT NULL,
    at timestamptz NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE @.keepers (
    lane text PRIMARY KEY,
    content text NOT NULL
) WITH (fillfactor = 50);

-- What happened in five minutes, and pauses that are over.
CREATE TABLE @.bins (
    rollout bigint NOT NULL,
    bin bigint NOT NULL,
    wave integer NOT NULL,
    succeeded integer NOT NULL,
    failed integer NOT NULL,
    in_doubt integer NOT NULL,
    cancelled integer NOT NULL,
    reverted integer NOT NULL,
    skipped integer NOT NULL,
    calls integer NOT NULL,
    refused integer NOT NULL,
    PRIMARY KEY (rollout, bin, wave)
) WITH (fillfactor = 70);
CREATE TABLE @.pauses (
    rollout bigint NOT NULL,
    began bigint NOT NULL,
    ended bigint NOT NULL,
    PRIMARY KEY (rollout, began)
);
