-- Files: what was stored, who downloaded it.

-- A stored file; its bytes are elsewhere. `conversation` is set by the commit of the first entry that names it: until then it
-- waits, and is swept after a day. Its bytes are deleted before its row: a row with `gone_at` has bytes to be deleted.
CREATE TABLE file (
    app TEXT NOT NULL,
    id TEXT NOT NULL,
    customer TEXT, -- whose conversation it is for, whoever sent it; null once it is gone
    conversation TEXT, -- null: no entry names it
    by_role TEXT NOT NULL, -- customer, agent
    doc TEXT NOT NULL,
    size BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    shared_at BIGINT,
    revoked_at BIGINT,
    gone_at BIGINT,
    PRIMARY KEY (app, id),
    -- As with conversations: what was erased does not get a file from a late upload, or from another node's commit.
    FOREIGN KEY (app, customer) REFERENCES customer (app, id),
    FOREIGN KEY (app, conversation) REFERENCES conversation (app, id)
);
-- Partial, each for one question only: see 0002. The first two also answer the foreign keys.
CREATE INDEX file_of_conversation ON file (app, conversation, created_at, id) WHERE conversation IS NOT NULL;
CREATE INDEX file_of_customer ON file (app, customer, conversation) WHERE customer IS NOT NULL;
CREATE INDEX file_waiting ON file (created_at) WHERE conversation IS NULL AND gone_at IS NULL;
CREATE INDEX file_gone ON file (gone_at) WHERE gone_at IS NOT NULL;

-- How often one audience's link was used. The row is made by the first use.
CREATE TABLE file_share (
    app TEXT NOT NULL,
    file TEXT NOT NULL,
    audience TEXT NOT NULL,
    used BIGINT NOT NULL,
    PRIMARY KEY (app, file, audience),
    FOREIGN KEY (app, file) REFERENCES file (app, id)
);

-- Who downloaded it.
CREATE TABLE file_access (
    app TEXT NOT NULL,
    file TEXT NOT NULL,
    audience TEXT NOT NULL,
    no BIGINT NOT NULL, -- from 1: what `file_share.used` became
    at BIGINT NOT NULL,
    how TEXT NOT NULL,
    peer TEXT NOT NULL,
    agent TEXT NOT NULL,
    PRIMARY KEY (app, file, audience, no),
    FOREIGN KEY (app, file, audience) REFERENCES file_share (app, file, audience)
);
