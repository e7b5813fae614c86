-- Flows, and what is counted of conversations.

-- All published flows of an app as they were at one moment: what conversations that began then keep. `id` is derived from
-- the content.
CREATE TABLE flow_set (
    app TEXT NOT NULL,
    id TEXT NOT NULL,
    doc TEXT NOT NULL, -- sealed
    PRIMARY KEY (app, id)
);

-- What was published under a name, from 1. Written by the commit that puts it in force.
CREATE TABLE flow_version (
    app TEXT NOT NULL,
    flow TEXT NOT NULL,
    version BIGINT NOT NULL,
    at BIGINT NOT NULL,
    by_whom TEXT NOT NULL,
    doc TEXT NOT NULL, -- sealed
    PRIMARY KEY (app, flow, version)
);

-- What somebody is working on. `version` rises with each change.
CREATE TABLE flow_draft (
    app TEXT NOT NULL,
    flow TEXT NOT NULL,
    version BIGINT NOT NULL,
    at BIGINT NOT NULL,
    by_whom TEXT NOT NULL,
    doc TEXT NOT NULL, -- sealed
    PRIMARY KEY (app, flow)
);

-- The facts of one conversation, written by the commits that make them. `doc` has all of them; what is counted is a column.
CREATE TABLE facts (
    app TEXT NOT NULL,
    conversation TEXT NOT NULL,
    customer TEXT NOT NULL,
    channel TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    closed_at BIGINT,
    label TEXT NOT NULL, -- agent, dropOff, selfService: derived from `doc`
    interactive BIGINT NOT NULL,
    reached BIGINT NOT NULL,
    after_tasks BIGINT NOT NULL,
    accepted BIGINT NOT NULL,
    joined BIGINT NOT NULL,
    handed_off BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    failed_why TEXT,
    took_over BIGINT NOT NULL,
    closed_by TEXT,
    doc TEXT NOT NULL,
    PRIMARY KEY (app, conversation),
    FOREIGN KEY (app, conversation) REFERENCES conversation (app, id)
);
-- Partial, each for one question: see 0002.
CREATE INDEX facts_by_opened ON facts (app, opened_at, conversation) WHERE length(conversation) > 0;
CREATE INDEX facts_by_customer ON facts (app, customer, closed_at) WHERE closed_at IS NOT NULL;

-- Runs of tasks: flows, automations, what a flow understood.
CREATE TABLE task_run (
    app TEXT NOT NULL,
    conversation TEXT NOT NULL,
    version BIGINT NOT NULL, -- of the conversation after the input that ended it
    no BIGINT NOT NULL,
    task TEXT NOT NULL,
    done BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (app, conversation, version, no),
    FOREIGN KEY (app, conversation) REFERENCES conversation (app, id)
);
CREATE INDEX task_run_by_time ON task_run (app, at, task) WHERE length(task) > 0;

-- Tags that flows set.
CREATE TABLE tag (
    app TEXT NOT NULL,
    conversation TEXT NOT NULL,
    version BIGINT NOT NULL,
    no BIGINT NOT NULL,
    level TEXT NOT NULL, -- message, user, session
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (app, conversation, version, no),
    FOREIGN KEY (app, conversation) REFERENCES conversation (app, id)
);
CREATE INDEX tag_by_time ON tag (app, at, name) WHERE length(name) > 0;
