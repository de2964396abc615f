-- A database of schema version 3 with two tasks, as version 3 wrote it. Never change it: old files don't change.
BEGIN TRANSACTION;
CREATE TABLE changes (
	seq INTEGER NOT NULL, 
	at_ms BIGINT NOT NULL, 
	task_ns TEXT, 
	moved_ns TEXT, 
	control_ids TEXT, 
	counts TEXT, 
	events TEXT, 
	PRIMARY KEY (seq)
);
INSERT INTO "changes" VALUES(1,1772269201000,'[1,2]','[1,2]',NULL,'{"pending:":2}','{"1":[1,1],"2":[1,1]}');
INSERT INTO "changes" VALUES(2,1772269202000,'[1]','[1]',NULL,'{"running:":1,"pending:":-1}','{"1":[2,2]}');
INSERT INTO "changes" VALUES(3,1772269203000,'[2]','[2]',NULL,'{"waiting:a":1,"pending:":-1}','{"2":[2,2]}');
INSERT INTO "changes" VALUES(4,1772269204000,'[1]','[1]',NULL,NULL,'{"1":[3,3]}');
INSERT INTO "changes" VALUES(5,1772269205000,'[2]','[2]',NULL,'{"running:la":1,"waiting:a":-1}','{"2":[3,4]}');
CREATE TABLE counters (
	name VARCHAR(16) NOT NULL, 
	value BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "counters" VALUES('seq',5);
INSERT INTO "counters" VALUES('task_n',2);
INSERT INTO "counters" VALUES('searched',5);
CREATE TABLE database_info (
	only INTEGER NOT NULL, 
	schema_version INTEGER NOT NULL, 
	store_id VARCHAR(64) NOT NULL, 
	floor_seq BIGINT NOT NULL, 
	PRIMARY KEY (only)
);
INSERT INTO "database_info" VALUES(1,3,'0123456789abcdef0123456789abcdef',0);
CREATE TABLE documents (
	task_n INTEGER NOT NULL, 
	text TEXT NOT NULL, 
	PRIMARY KEY (task_n), 
	FOREIGN KEY(task_n) REFERENCES tasks (n) ON DELETE CASCADE
);
INSERT INTO "documents" VALUES(1,'部署 nginx 服务
deploy-7

host
build-7
project
infra
检查
check

启动
start

  -7  7  bu  ch  de  ho  in  ng  pr  st  务  动  启动  服务  查  检查  署  部署');
INSERT INTO "documents" VALUES(2,'other
other

  ot');
CREATE TABLE events (
	task_n INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	event_id VARCHAR(64) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	at_ms BIGINT NOT NULL, 
	received_ms BIGINT NOT NULL, 
	task_status VARCHAR(16) NOT NULL, 
	detail TEXT NOT NULL, 
	PRIMARY KEY (task_n, seq), 
	FOREIGN KEY(task_n) REFERENCES tasks (n) ON DELETE CASCADE, 
	UNIQUE (event_id)
);
INSERT INTO "events" VALUES(1,1,'e1','task_created',1772269200000,1772269201000,'pending','{"title":"部署 Nginx 服务","steps":[{"title":"检查","step_id":"check"},{"title":"启动","step_id":"start"}],"metadata":{"host":"build-7","project":"Infra"}}');
INSERT INTO "events" VALUES(2,1,'e2','task_created',1772269200000,1772269201000,'pending','{"title":"Other","steps":[],"metadata":{}}');
INSERT INTO "events" VALUES(1,2,'e3','step_status',1772269201000,1772269202000,'running','{"status":"running","progress":{"done":3,"total":9},"step_id":"check"}');
INSERT INTO "events" VALUES(2,2,'e4','task_status',1772269201000,1772269203000,'waiting','{"status":"waiting","summary":"which?"}');
INSERT INTO "events" VALUES(1,3,'e5','heartbeat',1772269202000,1772269204000,'running','{"agent_seen_at": "2026-02-28T09:00:00.000Z", "evidence": "process", "stalled": false, "pid": 4242, "beats": 1}');
INSERT INTO "events" VALUES(2,3,'e6','task_status',1772269203000,1772269205000,'running','{"status":"running"}');
INSERT INTO "events" VALUES(2,4,'e7','agent_lost',1772269204000,1772269205000,'running','{"summary":"exit 1"}');
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
CREATE TABLE liveness (
	task_n INTEGER NOT NULL, 
	version BIGINT NOT NULL, 
	agent_seen_ms BIGINT, 
	vouched_ms BIGINT, 
	sign_ms BIGINT NOT NULL, 
	evidence VARCHAR(16), 
	pid INTEGER, 
	stalled BOOLEAN NOT NULL, 
	measure TEXT, 
	beat_event_id VARCHAR(64), 
	beat_ms BIGINT, 
	kept_ms BIGINT, 
	beats INTEGER NOT NULL, 
	last_seq INTEGER NOT NULL, 
	PRIMARY KEY (task_n), 
	FOREIGN KEY(task_n) REFERENCES tasks (n) ON DELETE CASCADE
);
INSERT INTO "liveness" VALUES(1,3,1772269201000,1772269204000,1772269204000,'process',4242,0,'{"done":3,"total":9}','e5',1772269202000,1772269204000,0,3);
INSERT INTO "liveness" VALUES(2,3,1772269203000,NULL,1772269203000,NULL,NULL,0,NULL,NULL,NULL,NULL,0,4);
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
	PRIMARY KEY (task_n, position), 
	FOREIGN KEY(task_n) REFERENCES tasks (n) ON DELETE CASCADE
);
INSERT INTO "steps" VALUES(1,1,'check','检查','running',NULL,1772269201000,NULL,'{"done":3,"total":9}');
INSERT INTO "steps" VALUES(1,2,'start','启动','pending',NULL,NULL,NULL,NULL);
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
	lost BOOLEAN NOT NULL, 
	lost_reason TEXT, 
	stop_id VARCHAR(64), 
	stop_open BOOLEAN NOT NULL, 
	host TEXT, 
	project TEXT, 
	agent TEXT, 
	parent_id VARCHAR(64), 
	reversed_id VARCHAR(64) DEFAULT '' NOT NULL, 
	links TEXT DEFAULT '[]' NOT NULL, 
	waiting_ms BIGINT, 
	attention VARCHAR(16), 
	attention_ms BIGINT, 
	attention_ack_ms BIGINT, 
	attention_by TEXT, 
	attention_rank INTEGER DEFAULT '0' NOT NULL, 
	closed TEXT, 
	no_signal_since BIGINT, 
	doubtful BOOLEAN DEFAULT 0 NOT NULL, 
	PRIMARY KEY (n), 
	UNIQUE (task_id)
);
INSERT INTO "tasks" VALUES(1,'deploy-7','部署 Nginx 服务','running',NULL,NULL,'{"host": "build-7", "project": "Infra"}',1772269200000,1772269201000,1772269201000,NULL,2,0,0,1,0,NULL,NULL,0,'build-7','Infra',NULL,NULL,'7-yolped','[]',NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,0);
INSERT INTO "tasks" VALUES(2,'other','Other','running','running',NULL,'{}',1772269200000,1772269201000,1772269204000,NULL,0,0,0,0,1,'exit 1',NULL,0,NULL,NULL,NULL,NULL,'rehto','[]',NULL,'lost',1772269204000,NULL,NULL,2,NULL,NULL,0);
CREATE INDEX tasks_by_standing ON tasks (status, lost, stop_open);
CREATE INDEX tasks_by_parent_id ON tasks (parent_id, n) WHERE parent_id IS NOT NULL;
CREATE INDEX tasks_by_no_signal_since ON tasks (no_signal_since, n) WHERE no_signal_since IS NOT NULL;
CREATE INDEX tasks_by_project ON tasks (project, n) WHERE project IS NOT NULL;
CREATE INDEX tasks_by_attention ON tasks (attention_rank, n);
CREATE INDEX tasks_by_host ON tasks (host, n) WHERE host IS NOT NULL;
CREATE INDEX tasks_by_agent ON tasks (agent, n) WHERE agent IS NOT NULL;
CREATE INDEX tasks_by_update ON tasks (updated_ms, n);
CREATE INDEX tasks_by_reversed_id ON tasks (reversed_id);
CREATE INDEX changes_of_controls ON changes (seq) WHERE control_ids IS NOT NULL;
CREATE INDEX events_old_beats ON events (received_ms) WHERE kind = 'heartbeat';
CREATE INDEX ix_interrupts_task_n ON interrupts (task_n);
CREATE VIRTUAL TABLE trigrams USING fts5(text, content='documents', content_rowid='task_n', detail=none, columnsize=0,
    tokenize='trigram case_sensitive 1');
INSERT INTO trigrams(trigrams) VALUES ('rebuild');
CREATE TRIGGER documents_inserted AFTER INSERT ON documents BEGIN
    INSERT INTO trigrams(rowid, text) VALUES (new.task_n, new.text);
END;
CREATE TRIGGER documents_deleted AFTER DELETE ON documents BEGIN
    INSERT INTO trigrams(trigrams, rowid, text) VALUES ('delete', old.task_n, old.text);
END;
CREATE TRIGGER documents_updated AFTER UPDATE OF text ON documents BEGIN
    INSERT INTO trigrams(trigrams, rowid, text) VALUES ('delete', old.task_n, old.text);
    INSERT INTO trigrams(rowid, text) VALUES (new.task_n, new.text);
END;
COMMIT;
