-- A database of schema version 2 with two tasks, as version 2 wrote it. Never change it: old files don't change.
BEGIN TRANSACTION;
CREATE TABLE database_info (
	only INTEGER NOT NULL, 
	schema_version INTEGER NOT NULL, 
	store_id VARCHAR(64) NOT NULL, 
	floor_seq BIGINT NOT NULL, 
	beats_seq BIGINT NOT NULL, 
	PRIMARY KEY (only)
);
INSERT INTO "database_info" VALUES(1,2,'0123456789abcdef0123456789abcdef',0,0);
CREATE TABLE events (
	seq INTEGER NOT NULL, 
	event_id VARCHAR(64) NOT NULL, 
	task_n INTEGER NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	at_ms BIGINT NOT NULL, 
	received_ms BIGINT NOT NULL, 
	task_status VARCHAR(16) NOT NULL, 
	detail TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (event_id), 
	FOREIGN KEY(task_n) REFERENCES tasks (n) ON DELETE CASCADE
);
INSERT INTO "events" VALUES(1,'e1',1,'task_created',1772269200000,1772269200000,'pending','{"title":"部署 Nginx 服务","steps":[{"title":"检查","step_id":"check"},{"title":"启动","step_id":"start"}],"metadata":{"host":"build-7","project":"Infra"}}');
INSERT INTO "events" VALUES(2,'e2',2,'task_created',1772269200000,1772269200000,'pending','{"title":"Other","steps":[],"metadata":{}}');
INSERT INTO "events" VALUES(3,'e3',1,'step_status',1772269201000,1772269201000,'running','{"status":"running","progress":{"done":3,"total":9},"step_id":"check"}');
INSERT INTO "events" VALUES(4,'e4',2,'task_status',1772269201000,1772269201000,'waiting','{"status":"waiting","summary":"which?"}');
INSERT INTO "events" VALUES(5,'e5',1,'heartbeat',1772269201000,1772269201000,'running','{"agent_seen_at":"2026-02-28T09:00:00.000Z","evidence":"process","stalled":false,"pid":4242}');
INSERT INTO "events" VALUES(6,'e6',1,'heartbeat',1772269216000,1772269216000,'running','{"agent_seen_at":"2026-02-28T09:00:00.000Z","evidence":"process","stalled":false,"pid":4242}');
INSERT INTO "events" VALUES(7,'e7',1,'interrupt_requested',1772269216000,1772269216000,'running','{"mode": "soft_stop", "reason": "wrong host", "interrupt_id": "5a768f4b-84a3-510d-ab2f-6fbaa1387589"}');
INSERT INTO "events" VALUES(8,'e8',2,'agent_lost',1772269217000,1772269217000,'waiting','{"summary":"gone"}');
CREATE TABLE interrupts (
	interrupt_id VARCHAR(64) NOT NULL, 
	task_n INTEGER NOT NULL, 
	mode VARCHAR(16) NOT NULL, 
	reason TEXT, 
	requested_by TEXT, 
	requested_ms BIGINT NOT NULL, 
	seen_ms BIGINT, 
	delivered_ms BIGINT, 
	acknowledged_ms BIGINT, 
	ack_summary TEXT, 
	PRIMARY KEY (interrupt_id), 
	FOREIGN KEY(task_n) REFERENCES tasks (n) ON DELETE CASCADE
);
INSERT INTO "interrupts" VALUES('5a768f4b-84a3-510d-ab2f-6fbaa1387589',1,'soft_stop','wrong host',NULL,1772269216000,NULL,NULL,NULL,NULL);
CREATE TABLE steps (
	task_n INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	step_id VARCHAR(64) NOT NULL, 
	title TEXT NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	summary TEXT, 
	started_ms BIGINT, 
	ended_ms BIGINT, 
	measure TEXT, 
	search TEXT, 
	PRIMARY KEY (task_n, position), 
	FOREIGN KEY(task_n) REFERENCES tasks (n) ON DELETE CASCADE
);
INSERT INTO "steps" VALUES(1,1,'check','检查','running',NULL,1772269201000,NULL,'{"done":3,"total":9}',NULL);
INSERT INTO "steps" VALUES(1,2,'start','启动','pending',NULL,NULL,NULL,NULL,NULL);
CREATE TABLE tasks (
	n INTEGER NOT NULL, 
	task_id VARCHAR(64) NOT NULL, 
	title TEXT NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	reported VARCHAR(16), 
	summary TEXT, 
	metadata TEXT NOT NULL, 
	created_ms BIGINT NOT NULL, 
	received_ms BIGINT NOT NULL, 
	updated_ms BIGINT NOT NULL, 
	ended_ms BIGINT, 
	steps_total INTEGER NOT NULL, 
	steps_done INTEGER NOT NULL, 
	steps_failed INTEGER NOT NULL, 
	steps_started INTEGER NOT NULL, 
	agent_seen_ms BIGINT, 
	vouched_ms BIGINT, 
	sign_ms BIGINT NOT NULL, 
	evidence VARCHAR(16), 
	pid INTEGER, 
	stalled BOOLEAN NOT NULL, 
	lost BOOLEAN NOT NULL, 
	lost_reason TEXT, 
	stop_id VARCHAR(64), 
	stop_open BOOLEAN NOT NULL, 
	change_seq BIGINT NOT NULL, 
	control_seq BIGINT NOT NULL, 
	search TEXT NOT NULL, 
	host TEXT, 
	project TEXT, 
	agent TEXT, 
	parent_id VARCHAR(64), 
	reversed_id VARCHAR(64) DEFAULT '' NOT NULL, 
	links TEXT DEFAULT '[]' NOT NULL, 
	measure TEXT, 
	waiting_ms BIGINT, 
	attention VARCHAR(16), 
	attention_ms BIGINT, 
	attention_ack_ms BIGINT, 
	attention_by TEXT, 
	attention_rank INTEGER DEFAULT '0' NOT NULL, 
	closed TEXT, 
	search_facts TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (n), 
	UNIQUE (task_id)
);
INSERT INTO "tasks" VALUES(1,'deploy-7','部署 Nginx 服务','running',NULL,NULL,'{"host": "build-7", "project": "Infra"}',1772269200000,1772269200000,1772269216000,NULL,2,0,0,1,1772269201000,1772269216000,1772269216000,'process',4242,0,0,NULL,'5a768f4b-84a3-510d-ab2f-6fbaa1387589',1,7,7,'部署 nginx 服务
deploy-7
','build-7','Infra',NULL,NULL,'7-yolped','[]','{"done":3,"total":9}',NULL,NULL,NULL,NULL,NULL,0,NULL,'host
build-7
project
infra
检查
check
启动
start');
INSERT INTO "tasks" VALUES(2,'other','Other','waiting','waiting','which?','{}',1772269200000,1772269200000,1772269217000,NULL,0,0,0,0,1772269201000,NULL,1772269201000,NULL,NULL,0,1,'gone',NULL,0,8,0,'other
other
which?',NULL,NULL,NULL,NULL,'rehto','[]',NULL,1772269201000,'lost',1772269217000,NULL,NULL,2,NULL,'');
CREATE INDEX tasks_by_change ON tasks (change_seq);
CREATE INDEX tasks_by_reversed_id ON tasks (reversed_id);
CREATE INDEX tasks_by_standing ON tasks (status, lost, stop_open, sign_ms);
CREATE INDEX tasks_by_control ON tasks (control_seq);
CREATE INDEX tasks_by_update ON tasks (updated_ms, n);
CREATE INDEX tasks_by_host ON tasks (host, n) WHERE host IS NOT NULL;
CREATE INDEX tasks_by_project ON tasks (project, n) WHERE project IS NOT NULL;
CREATE INDEX tasks_by_agent ON tasks (agent, n) WHERE agent IS NOT NULL;
CREATE INDEX tasks_by_parent_id ON tasks (parent_id, n) WHERE parent_id IS NOT NULL;
CREATE INDEX tasks_by_attention ON tasks (attention_rank, n);
CREATE INDEX events_of_task ON events (task_n, seq);
CREATE INDEX ix_interrupts_task_n ON interrupts (task_n);
COMMIT;
