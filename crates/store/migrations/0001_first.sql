-- One SQL text for SQLite and PostgreSQL: columns are TEXT or BIGINT, the app comes first in every key.
-- Times are milliseconds since 1970. Documents are JSON. Sealed values read `v1.<key id>.<nonce>.<ciphertext>`.

-- An app's settings, one row per distinct content; `current` names the version in force.
CREATE TABLE app (
    app TEXT NOT NULL,
    current BIGINT NOT NULL,
    PRIMARY KEY (app)
);

CREATE TABLE app_version (
    app TEXT NOT NULL,
    version BIGINT NOT NULL,
    -- Keyed hash of the clear content: the same content gets the same version, and the hash tells nothing.
    fingerprint TEXT NOT NULL,
    doc TEXT NOT NULL, -- sealed
    PRIMARY KEY (app, version)
);
CREATE INDEX app_version_by_fingerprint ON app_version (app, fingerprint);

-- A person at one address of one channel.
CREATE TABLE customer (
    app TEXT NOT NULL,
    id TEXT NOT NULL,
    channel TEXT NOT NULL,
    address TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (app, id)
);
CREATE UNIQUE INDEX customer_by_address ON customer (app, channel, address);

-- The small document that `step` reads and writes, guarded by its version. What is searched is a column.
CREATE TABLE conversation (
    app TEXT NOT NULL,
    id TEXT NOT NULL,
    customer TEXT NOT NULL,
    channel TEXT NOT NULL,
    version BIGINT NOT NULL,
    owner TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    head BIGINT NOT NULL, -- the last entry's seq
    opened_at BIGINT NOT NULL,
    closed_at BIGINT,
    wake_at BIGINT, -- the earliest deadline: timers need no rows of their own
    retain_until BIGINT, -- from then on the sweep erases the conversation, once it is closed
    doc TEXT NOT NULL,
    PRIMARY KEY (app, id),
    -- Makes erasure final: a customer who is gone cannot get a conversation back from a late commit.
    FOREIGN KEY (app, customer) REFERENCES customer (app, id)
);
CREATE UNIQUE INDEX conversation_open ON conversation (app, customer) WHERE closed_at IS NULL;
CREATE INDEX conversation_by_customer ON conversation (app, customer, opened_at);
CREATE INDEX conversation_due ON conversation (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX conversation_retained ON conversation (retain_until) WHERE retain_until IS NOT NULL;

-- Every input that was taken in, whole: this is both the duplicate check and the replay.
CREATE TABLE inbox (
    app TEXT NOT NULL,
    integration TEXT NOT NULL,
    scope TEXT NOT NULL,
    external_id TEXT NOT NULL,
    conversation TEXT NOT NULL,
    version BIGINT NOT NULL, -- of the conversation after this input: the order of the replay
    at BIGINT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (app, integration, scope, external_id)
);
CREATE INDEX inbox_by_conversation ON inbox (app, conversation, version);

-- The log.
CREATE TABLE entry (
    app TEXT NOT NULL,
    conversation TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (app, conversation, seq)
);

-- One integration's session in one conversation, with its cursor into the log. `head` is the last entry for it:
-- "is there more?" compares two columns of one row, because a look into `entry` would lose wake-ups on PostgreSQL.
CREATE TABLE participant (
    app TEXT NOT NULL,
    conversation TEXT NOT NULL,
    no BIGINT NOT NULL,
    integration TEXT NOT NULL,
    role TEXT NOT NULL,
    cursor BIGINT NOT NULL,
    head BIGINT NOT NULL,
    due_at BIGINT,
    attempts BIGINT NOT NULL,
    failing_since BIGINT,
    attempt_key TEXT,
    last_error TEXT,
    delivered BIGINT NOT NULL,
    read BIGINT NOT NULL,
    done BIGINT NOT NULL,
    session TEXT, -- sealed
    doc TEXT NOT NULL,
    PRIMARY KEY (app, conversation, no),
    FOREIGN KEY (app, conversation) REFERENCES conversation (app, id)
);
CREATE INDEX participant_due ON participant (due_at) WHERE due_at IS NOT NULL;

-- What the outside calls an entry: recognises echoes, edits, replies and receipts.
CREATE TABLE remote_id (
    app TEXT NOT NULL,
    conversation TEXT NOT NULL,
    participant BIGINT NOT NULL,
    remote_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    part BIGINT NOT NULL,
    PRIMARY KEY (app, conversation, participant, remote_id)
);
CREATE INDEX remote_id_by_seq ON remote_id (app, conversation, participant, seq);

-- Things that may happen once: a token's jti, a share link's download. Only a hash of the key is kept.
CREATE TABLE once (
    app TEXT NOT NULL,
    kind TEXT NOT NULL,
    hash TEXT NOT NULL,
    first_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (app, kind, hash)
);
CREATE INDEX once_expires ON once (expires_at);

-- One heartbeat row per node. The fence rises with each registration, so a former process of the same node notices.
CREATE TABLE node (
    id TEXT NOT NULL,
    fence BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (id)
);
