-- A database of schema version 1 with one task, as the first release wrote it. Never change it: old files don't change.
BEGIN TRANSACTION;
CREATE TABLE database_info (
	only INTEGER NOT NULL, 
	schema_version INTEGER NOT NULL, 
	store_id VARCHAR(64) NOT NULL, 
	floor_seq BIGINT NOT NULL, 
	beats_seq BIGINT NOT NULL, 
	PRIMARY KEY (only)
);
INSERT INTO "database_info" VALUES(1,1,'af2f56c151254de2a48b4b1a65f1b519',0,0);
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
INSERT INTO "events" VALUES(1,'e1',1,'task_created',1772269201000,1772269201000,'pending','{"title":"部署 Nginx 服务","steps":[{"title":"检查本地环境","step_id":"check"},{"title":"启动并测试","step_id":"start"}],"metadata":{"host":"build-7"}}');
INSERT INTO "events" VALUES(2,'e2',1,'step_status',1772269202000,1772269202000,'running','{"status":"running","summary":"looking","step_id":"check"}');
INSERT INTO "events" VALUES(3,'e3',1,'step_status',1772269203000,1772269203000,'running','{"status":"done","step_id":"check"}');
INSERT INTO "events" VALUES(4,'e4',1,'heartbeat',1772269204000,1772269204000,'running','{"agent_seen_at":"2026-02-28T09:00:04.000Z","evidence":"process","stalled":false,"pid":4242}');
INSERT INTO "events" VALUES(5,'e5',1,'interrupt_requested',1772269205000,1772269205000,'running','{"mode": "soft_stop", "reason": "wrong host", "requested_by": "Mu", "interrupt_id": "9afaf3fe-20e9-5046-9f11-110a56d0c190"}');
INSERT INTO "events" VALUES(6,'e6',1,'interrupt_seen',1772269206000,1772269206000,'running','{"interrupt_id":"9afaf3fe-20e9-5046-9f11-110a56d0c190"}');
INSERT INTO "events" VALUES(7,'e7',1,'interrupt_ack',1772269207000,1772269207000,'interrupted','{"summary":"stopped"}');
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
INSERT INTO "interrupts" VALUES('9afaf3fe-20e9-5046-9f11-110a56d0c190',1,'soft_stop','wrong host','Mu',1772269205000,1772269206000,NULL,1772269207000,'stopped');
CREATE TABLE steps (
	task_n INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	step_id VARCHAR(64) NOT NULL, 
	title TEXT NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	summary TEXT, 
	started_ms BIGINT, 
	ended_ms BIGINT, 
	PRIMARY KEY (task_n, position), 
	FOREIGN KEY(task_n) REFERENCES tasks (n) ON DELETE CASCADE
);
INSERT INTO "steps" VALUES(1,1,'check','检查本地环境','done','looking',1772269202000,1772269203000);
INSERT INTO "steps" VALUES(1,2,'start','启动并测试','pending',NULL,NULL,NULL);
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
	PRIMARY KEY (n), 
	UNIQUE (task_id)
);
INSERT INTO "tasks" VALUES(1,'deploy-7','部署 Nginx 服务','interrupted','interrupted','stopped','{"host": "build-7"}',1772269201000,1772269201000,1772269207000,1772269207000,2,1,0,1,1772269207000,1772269204000,1772269207000,'process',4242,0,0,NULL,'9afaf3fe-20e9-5046-9f11-110a56d0c190',0,7,7,'部署 nginx 服务
deploy-7
stopped');
CREATE INDEX tasks_by_standing ON tasks (status, lost, stop_open, sign_ms);
CREATE INDEX tasks_by_control ON tasks (control_seq);
CREATE INDEX tasks_by_change ON tasks (change_seq);
CREATE INDEX events_of_task ON events (task_n, seq);
CREATE INDEX ix_interrupts_task_n ON interrupts (task_n);
COMMIT;
