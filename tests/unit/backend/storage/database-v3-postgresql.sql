-- A database of schema version 3 on PostgreSQL, as `pg_dump` writes it, without what names a schema or an owner.
CREATE TABLE changes (
    seq bigint NOT NULL,
    at_ms bigint NOT NULL,
    task_ns text,
    moved_ns text,
    control_ids text,
    counts text,
    events text
);
CREATE TABLE counters (
    name character varying(16) NOT NULL,
    value bigint NOT NULL
);
CREATE TABLE database_info (
    "only" integer NOT NULL,
    schema_version integer NOT NULL,
    store_id character varying(64) NOT NULL,
    floor_seq bigint NOT NULL
);
CREATE TABLE documents (
    task_n integer NOT NULL,
    text text NOT NULL
);
CREATE TABLE ended_sessions (
    digest character varying(64) NOT NULL,
    until_s bigint NOT NULL
);
CREATE TABLE events (
    task_n integer NOT NULL,
    seq integer NOT NULL,
    event_id character varying(64) NOT NULL,
    kind character varying(32) NOT NULL,
    at_ms bigint NOT NULL,
    received_ms bigint NOT NULL,
    task_status character varying(16) NOT NULL,
    detail text NOT NULL
);
CREATE TABLE failed_logins (
    client character varying(64) NOT NULL,
    at_ms bigint NOT NULL
);
CREATE TABLE interrupts (
    interrupt_id character varying(64) NOT NULL,
    task_n integer NOT NULL,
    mode character varying(16) NOT NULL,
    reason text,
    requested_by text,
    requested_ms bigint NOT NULL,
    seen_ms bigint,
    delivered_ms bigint,
    acknowledged_ms bigint,
    ack_summary text
);
CREATE TABLE leases (
    name character varying(32) NOT NULL,
    holder character varying(32) NOT NULL,
    until_ms bigint NOT NULL
);
CREATE TABLE liveness (
    task_n integer NOT NULL,
    version bigint NOT NULL,
    agent_seen_ms bigint,
    vouched_ms bigint,
    sign_ms bigint NOT NULL,
    evidence character varying(16),
    pid integer,
    stalled boolean NOT NULL,
    measure text,
    beat_event_id character varying(64),
    beat_ms bigint,
    kept_ms bigint,
    beats integer NOT NULL,
    last_seq integer NOT NULL
);
CREATE TABLE steps (
    task_n integer NOT NULL,
    "position" integer NOT NULL,
    step_id character varying(64) NOT NULL,
    title text NOT NULL,
    status character varying(16) NOT NULL,
    summary text,
    started_ms bigint,
    ended_ms bigint,
    measure text
);
CREATE TABLE tasks (
    n integer NOT NULL,
    task_id character varying(64) NOT NULL,
    title text NOT NULL,
    status character varying(16) NOT NULL,
    reported character varying(16),
    summary text,
    metadata text NOT NULL,
    created_ms bigint NOT NULL,
    received_ms bigint NOT NULL,
    updated_ms bigint NOT NULL,
    ended_ms bigint,
    steps_total integer NOT NULL,
    steps_done integer NOT NULL,
    steps_failed integer NOT NULL,
    steps_started integer NOT NULL,
    lost boolean NOT NULL,
    lost_reason text,
    stop_id character varying(64),
    stop_open boolean NOT NULL,
    host text,
    project text,
    agent text,
    parent_id character varying(64),
    reversed_id character varying(64) DEFAULT ''::character varying NOT NULL,
    links text DEFAULT '[]'::text NOT NULL,
    waiting_ms bigint,
    attention character varying(16),
    attention_ms bigint,
    attention_ack_ms bigint,
    attention_by text,
    attention_rank integer DEFAULT 0 NOT NULL,
    closed text,
    no_signal_since bigint,
    doubtful boolean DEFAULT false NOT NULL
);
ALTER TABLE ONLY changes
    ADD CONSTRAINT changes_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY counters
    ADD CONSTRAINT counters_pkey PRIMARY KEY (name);
ALTER TABLE ONLY database_info
    ADD CONSTRAINT database_info_pkey PRIMARY KEY ("only");
ALTER TABLE ONLY documents
    ADD CONSTRAINT documents_pkey PRIMARY KEY (task_n);
ALTER TABLE ONLY ended_sessions
    ADD CONSTRAINT ended_sessions_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY events
    ADD CONSTRAINT events_event_id_key UNIQUE (event_id);
ALTER TABLE ONLY events
    ADD CONSTRAINT events_pkey PRIMARY KEY (task_n, seq);
ALTER TABLE ONLY interrupts
    ADD CONSTRAINT interrupts_pkey PRIMARY KEY (interrupt_id);
ALTER TABLE ONLY leases
    ADD CONSTRAINT leases_pkey PRIMARY KEY (name);
ALTER TABLE ONLY liveness
    ADD CONSTRAINT liveness_pkey PRIMARY KEY (task_n);
ALTER TABLE ONLY steps
    ADD CONSTRAINT steps_pkey PRIMARY KEY (task_n, "position");
ALTER TABLE ONLY tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (n);
ALTER TABLE ONLY tasks
    ADD CONSTRAINT tasks_task_id_key UNIQUE (task_id);
CREATE INDEX changes_of_controls ON changes USING btree (seq) WHERE (control_ids IS NOT NULL);
CREATE INDEX events_old_beats ON events USING btree (received_ms) WHERE ((kind)::text = 'heartbeat'::text);
CREATE INDEX failed_logins_by_client ON failed_logins USING btree (client, at_ms);
CREATE INDEX ix_interrupts_task_n ON interrupts USING btree (task_n);
CREATE INDEX tasks_by_agent ON tasks USING btree (agent, n) WHERE (agent IS NOT NULL);
CREATE INDEX tasks_by_attention ON tasks USING btree (attention_rank, n);
CREATE INDEX tasks_by_host ON tasks USING btree (host, n) WHERE (host IS NOT NULL);
CREATE INDEX tasks_by_no_signal_since ON tasks USING btree (no_signal_since, n) WHERE (no_signal_since IS NOT NULL);
CREATE INDEX tasks_by_parent_id ON tasks USING btree (parent_id, n) WHERE (parent_id IS NOT NULL);
CREATE INDEX tasks_by_project ON tasks USING btree (project, n) WHERE (project IS NOT NULL);
CREATE INDEX tasks_by_reversed_id ON tasks USING btree (reversed_id);
CREATE INDEX tasks_by_standing ON tasks USING btree (status, lost, stop_open);
CREATE INDEX tasks_by_update ON tasks USING btree (updated_ms, n);
ALTER TABLE ONLY documents
    ADD CONSTRAINT documents_task_n_fkey FOREIGN KEY (task_n) REFERENCES tasks(n) ON DELETE CASCADE;
ALTER TABLE ONLY events
    ADD CONSTRAINT events_task_n_fkey FOREIGN KEY (task_n) REFERENCES tasks(n) ON DELETE CASCADE;
ALTER TABLE ONLY interrupts
    ADD CONSTRAINT interrupts_task_n_fkey FOREIGN KEY (task_n) REFERENCES tasks(n) ON DELETE CASCADE;
ALTER TABLE ONLY liveness
    ADD CONSTRAINT liveness_task_n_fkey FOREIGN KEY (task_n) REFERENCES tasks(n) ON DELETE CASCADE;
ALTER TABLE ONLY steps
    ADD CONSTRAINT steps_task_n_fkey FOREIGN KEY (task_n) REFERENCES tasks(n) ON DELETE CASCADE;
INSERT INTO database_info VALUES (1, 3, 'aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb', 0);
INSERT INTO counters VALUES ('seq', 3), ('task_n', 2), ('searched', 3);
INSERT INTO tasks (n, task_id, title, status, metadata, created_ms, received_ms, updated_ms, steps_total, steps_done, steps_failed,
  steps_started, lost, stop_open, reversed_id) VALUES
  (1, 'deploy-7', '部署 Nginx 服务', 'running', '{}', 1764144000000, 1764144000000, 1764230400000, 1, 0, 0, 1, false, false, '7-yolped'),
  (2, 'backup', 'Nightly backup', 'done', '{}', 1764144000000, 1764144000000, 1764144000000, 0, 0, 0, 0, false, false, 'pukcab');
INSERT INTO liveness (task_n, version, sign_ms, stalled, beats, last_seq) VALUES (1, 3, 1764230400000, false, 0, 3), (2, 1, 1764144000000, false, 0, 1);
INSERT INTO steps (task_n, position, step_id, title, status) VALUES (1, 1, 's1', 'Lint', 'running');
INSERT INTO documents VALUES (1, E'部署 nginx 服务\ndeploy-7\n\nlint\ns1\n\n  -7  7  de  li  ng  s1  务  服务  署  部署'), (2, E'nightly backup\nbackup\n\n  ba  ni');
INSERT INTO events VALUES
  (1, 1, '019abf2d-2c00-7001-8000-000000000001', 'task_created', 1764144000000, 1764144000000, 'pending', '{}'),
  (1, 2, '019abf2e-1660-7002-8000-000000000002', 'step_status', 1764144060000, 1764144060000, 'running', '{"step_id":"s1","status":"running"}'),
  (1, 3, '019ac453-8800-7003-8000-000000000003', 'task_status', 1764230400000, 1764230400000, 'running', '{"status":"running","summary":null}'),
  (2, 1, '6ba7b810-9dad-41d1-80b4-00c04fd430c8', 'task_created', 1764144000000, 1764144000000, 'pending', '{}');
INSERT INTO changes (seq, at_ms, task_ns) VALUES (1, 1764144000000, '[1]'), (2, 1764144000000, '[2]'), (3, 1764230400000, '[1]');
