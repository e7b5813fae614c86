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

-- Lists, newest first. Of a conversation they hold columns that never change: a commit does not touch them on SQLite.
-- The first one ends with the channel so that SQLite does not prefer it to the second one for being narrower.
CREATE INDEX conversation_by_opened ON conversation (app, opened_at, id, channel);
CREATE INDEX conversation_by_channel ON conversation (app, channel, opened_at, id);
CREATE INDEX conversation_live ON conversation (app, opened_at, id) WHERE owner = 'agent';
DROP INDEX conversation_by_customer;
CREATE INDEX conversation_by_customer ON conversation (app, customer, opened_at, id);
CREATE INDEX customer_by_bare_address ON customer (app, address, id);
CREATE INDEX customer_by_channel ON customer (app, channel, id);
CREATE INDEX participant_engaged ON participant (app, integration, conversation, no) WHERE role = 'agent' AND done = 0;
CREATE INDEX participant_failing ON participant (app, failing_since, conversation, no)
    WHERE done = 0 AND failing_since IS NOT NULL;
