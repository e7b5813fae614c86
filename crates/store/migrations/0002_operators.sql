-- What operators need: keys of the API, lists, shared transcripts.

-- A key of the API: what it may do, and a hash of its secret. `app` is '' for a key of the whole server.
CREATE TABLE api_key (
    app TEXT NOT NULL,
    id TEXT NOT NULL,
    hash TEXT NOT NULL,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    PRIMARY KEY (app, id)
);
-- A request names the key before the app is known.
CREATE UNIQUE INDEX api_key_by_id ON api_key (id);

-- One participant's link to the transcript: how often it was used. The row is made by the first use or the withdrawal.
CREATE TABLE share (
    app TEXT NOT NULL,
    conversation TEXT NOT NULL,
    participant BIGINT NOT NULL,
    used BIGINT NOT NULL,
    revoked_at BIGINT,
    PRIMARY KEY (app, conversation, participant),
    FOREIGN KEY (app, conversation, participant) REFERENCES participant (app, conversation, no)
);

-- Who looked at it.
CREATE TABLE share_access (
    app TEXT NOT NULL,
    conversation TEXT NOT NULL,
    participant BIGINT NOT NULL,
    no BIGINT NOT NULL, -- from 1: what `share.used` became
    at BIGINT NOT NULL,
    how TEXT NOT NULL,
    peer TEXT NOT NULL,
    agent TEXT NOT NULL,
    PRIMARY KEY (app, conversation, participant, no),
    FOREIGN KEY (app, conversation, participant) REFERENCES share (app, conversation, participant)
);

-- Lists. Every index here is partial, so that nothing but its list reads it: without statistics PostgreSQL takes any index
-- that begins with the app for a row's key, and keeps that plan when the table has grown. `length(…) > 0` holds for every
-- row and follows from nothing; a statement says it to name the index it means (`list.rs`). The columns are such that a
-- commit which neither opens, closes nor hands over touches none of the conversation's on SQLite.
CREATE INDEX conversation_by_opened ON conversation (app, opened_at, id) WHERE length(id) > 0;
CREATE INDEX conversation_by_channel ON conversation (app, channel, opened_at, id) WHERE length(channel) > 0;
CREATE INDEX conversation_unclosed ON conversation (app, opened_at, id) WHERE closed_at IS NULL AND length(app) > 0;
CREATE INDEX conversation_live ON conversation (app, opened_at, id) WHERE owner = 'agent';
CREATE INDEX customer_by_channel ON customer (app, channel, id) WHERE length(channel) > 0;
CREATE INDEX customer_by_bare_address ON customer (app, address, id) WHERE length(address) > 0;
CREATE INDEX participant_engaged ON participant (app, integration, conversation, no) WHERE role = 'agent' AND done = 0;
CREATE INDEX participant_failing ON participant (app, failing_since, conversation, no)
    WHERE done = 0 AND failing_since IS NOT NULL;
