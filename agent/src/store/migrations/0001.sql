-- The first schema. Words are those of behaviour.md; moments are milliseconds since 1970 unless a name says otherwise.
-- The balances of invariant 4 are CHECKs: a record that would break one cannot be committed.

CREATE TABLE meta(
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE gtins(
    gtin_id INTEGER PRIMARY KEY,
    gtin TEXT NOT NULL UNIQUE CHECK(length(gtin) = 14)
) STRICT;

-- What was ordered. left_n: rows of this order in the pool. received_n: codes in its blocks.
CREATE TABLE orders(
    order_no INTEGER PRIMARY KEY,
    po_number TEXT NOT NULL UNIQUE,
    gtin_id INTEGER NOT NULL REFERENCES gtins,
    goods_group TEXT NOT NULL,
    kind INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    release_method TEXT NOT NULL,
    business_place INTEGER,
    upstream_id TEXT,
    state INTEGER NOT NULL,
    why TEXT NOT NULL,
    expires INTEGER,
    wanted_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    received_n INTEGER NOT NULL DEFAULT 0,
    left_n INTEGER NOT NULL DEFAULT 0 CHECK(left_n >= 0)
) STRICT;
CREATE UNIQUE INDEX orders_upstream ON orders(upstream_id) WHERE upstream_id IS NOT NULL;
CREATE INDEX orders_left ON orders(gtin_id) WHERE left_n > 0;

-- The codes of one answer from upstream, or one roll of stock (then order_no is NULL and pack_id is the roll's name).
CREATE TABLE blocks(
    block_no INTEGER PRIMARY KEY,
    order_no INTEGER REFERENCES orders,
    pack_id TEXT NOT NULL,
    previous TEXT,
    goods_group TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    received INTEGER NOT NULL,
    unpacked INTEGER NOT NULL DEFAULT 0,
    set_aside INTEGER NOT NULL DEFAULT 0,
    pooled INTEGER NOT NULL DEFAULT 0,
    issued INTEGER NOT NULL DEFAULT 0,
    verified INTEGER NOT NULL DEFAULT 0,
    applied INTEGER NOT NULL DEFAULT 0,
    written_off INTEGER NOT NULL DEFAULT 0,
    spoiled INTEGER NOT NULL DEFAULT 0,
    returned INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT every_code_accounted_for CHECK(
        unpacked = set_aside + pooled + issued + verified + applied + written_off + spoiled + returned
        AND unpacked <= received
        AND min(set_aside, pooled, issued, verified, applied, written_off, spoiled, returned) >= 0)
) STRICT;
CREATE UNIQUE INDEX blocks_key ON blocks(ifnull(order_no, 0), pack_id);
CREATE INDEX blocks_waiting ON blocks(block_no) WHERE unpacked < received;

-- The bytes of a block until its last slice is unpacked; apart, so that a count's update does not rewrite them.
CREATE TABLE bodies(
    block_no INTEGER PRIMARY KEY REFERENCES blocks,
    body BLOB NOT NULL
) STRICT;

-- Presence here is the state Pooled.
CREATE TABLE pool(
    order_no INTEGER NOT NULL REFERENCES orders,
    serial BLOB NOT NULL,
    tail BLOB NOT NULL,
    block_no INTEGER NOT NULL REFERENCES blocks,
    PRIMARY KEY(order_no, serial)
) STRICT, WITHOUT ROWID;

-- Presence here is the state Stock.
CREATE TABLE stock(
    gtin_id INTEGER NOT NULL REFERENCES gtins,
    serial BLOB NOT NULL,
    tail BLOB NOT NULL,
    block_no INTEGER NOT NULL REFERENCES blocks,
    PRIMARY KEY(gtin_id, serial)
) STRICT, WITHOUT ROWID;

-- Never issued: malformed (bytes), or well formed and given twice or for another GTIN (gtin_id, serial, tail).
CREATE TABLE set_aside(
    block_no INTEGER NOT NULL REFERENCES blocks,
    place INTEGER NOT NULL,
    gtin_id INTEGER REFERENCES gtins,
    serial BLOB,
    tail BLOB,
    bytes BLOB,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY(block_no, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX set_aside_code ON set_aside(gtin_id, serial) WHERE serial IS NOT NULL;

CREATE TABLE lines(
    line INTEGER PRIMARY KEY,
    last_boot INTEGER,
    last_tag INTEGER
) STRICT;

-- issued counts codes given to the run, in_doubt those still unseen; triggers count its items.
-- carried: passes in reports that are open or in effect; held: passes that no report may carry.
CREATE TABLE runs(
    run INTEGER PRIMARY KEY,
    line INTEGER NOT NULL REFERENCES lines,
    key TEXT NOT NULL UNIQUE,
    gtin_id INTEGER NOT NULL REFERENCES gtins,
    goods_group TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    batch TEXT NOT NULL,
    production INTEGER NOT NULL,
    expiry INTEGER,
    state INTEGER NOT NULL,
    opened_at INTEGER NOT NULL,
    opened_by TEXT NOT NULL,
    closed_at INTEGER,
    last_issue INTEGER NOT NULL DEFAULT 0,
    last_pass INTEGER NOT NULL DEFAULT 0,
    issued INTEGER NOT NULL DEFAULT 0,
    in_doubt INTEGER NOT NULL DEFAULT 0,
    verified INTEGER NOT NULL DEFAULT 0,
    applied INTEGER NOT NULL DEFAULT 0,
    written_off INTEGER NOT NULL DEFAULT 0,
    spoiled INTEGER NOT NULL DEFAULT 0,
    triggers INTEGER NOT NULL DEFAULT 0,
    open_tags INTEGER NOT NULL DEFAULT 0,
    passed INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0,
    escaped INTEGER NOT NULL DEFAULT 0,
    carried INTEGER NOT NULL DEFAULT 0,
    held INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT every_issued_code_accounted_for CHECK(
        issued = in_doubt + verified + applied + written_off + spoiled
        AND min(in_doubt, verified, applied, written_off, spoiled) >= 0),
    CONSTRAINT every_item_accounted_for CHECK(
        triggers = open_tags + passed + rejected + lost + escaped
        AND min(open_tags, passed, rejected, lost, escaped) >= 0),
    CONSTRAINT every_pass_accounted_for CHECK(carried >= 0 AND held >= 0 AND carried + held <= last_pass)
) STRICT;
CREATE UNIQUE INDEX runs_open ON runs(line) WHERE state <> 3;

CREATE TABLE run_rejects(
    run INTEGER NOT NULL REFERENCES runs,
    reason TEXT NOT NULL,
    n INTEGER NOT NULL CHECK(n >= 0),
    PRIMARY KEY(run, reason)
) STRICT, WITHOUT ROWID;

-- Which blocks gave the run its codes.
CREATE TABLE run_blocks(
    run INTEGER NOT NULL REFERENCES runs,
    block_no INTEGER NOT NULL REFERENCES blocks,
    n INTEGER NOT NULL CHECK(n >= 0),
    PRIMARY KEY(run, block_no)
) STRICT, WITHOUT ROWID;

-- The highest issue number that was read, by printer.
CREATE TABLE last_read(
    run INTEGER NOT NULL REFERENCES runs,
    printer INTEGER NOT NULL,
    issue_no INTEGER NOT NULL,
    PRIMARY KEY(run, printer)
) STRICT, WITHOUT ROWID;

-- Codes that left the pool or the stock. Small on purpose: state 0 (issued) and 1 (passed), outcome 0 and 1, NULLs
-- cost nothing. issued_after and verified_after count from the run's opening, ended_after from verified_after.
CREATE TABLE codes(
    gtin_id INTEGER NOT NULL REFERENCES gtins,
    serial BLOB NOT NULL,
    tail BLOB NOT NULL,
    block_no INTEGER NOT NULL REFERENCES blocks,
    state INTEGER NOT NULL,
    run INTEGER REFERENCES runs,
    printer INTEGER,
    issue_no INTEGER,
    issued_after INTEGER,
    outcome INTEGER NOT NULL DEFAULT 0,
    boot INTEGER,
    tag INTEGER,
    verified_after INTEGER,
    pass_no INTEGER,
    ended_after INTEGER,
    PRIMARY KEY(gtin_id, serial)
) STRICT, WITHOUT ROWID;
-- Only what is in flight or spoiled is indexed by run.
CREATE INDEX codes_issued ON codes(run, issue_no) WHERE state = 0;
CREATE INDEX codes_unknown ON codes(run, boot, tag) WHERE state = 2;
CREATE INDEX codes_spoiled ON codes(run) WHERE state >= 10;

-- Items whose end is not recorded.
CREATE TABLE open_tags(
    line INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    tag INTEGER NOT NULL,
    run INTEGER NOT NULL REFERENCES runs,
    at INTEGER NOT NULL,
    PRIMARY KEY(line, boot, tag)
) STRICT, WITHOUT ROWID;

-- Ends of items that did not pass: a reason's key, 'lost' or 'escaped'. (An item that passed is known by its code.)
CREATE TABLE ends(
    run INTEGER NOT NULL REFERENCES runs,
    boot INTEGER NOT NULL,
    tag INTEGER NOT NULL,
    how TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY(run, boot, tag)
) STRICT, WITHOUT ROWID;

CREATE TABLE passes(
    run INTEGER NOT NULL REFERENCES runs,
    pass_no INTEGER NOT NULL,
    serial BLOB NOT NULL,
    PRIMARY KEY(run, pass_no)
) STRICT, WITHOUT ROWID;

-- Passes that a report may carry, counted by block and bucket (pass_no / 128): drafting a report adds these up.
CREATE TABLE pass_blocks(
    run INTEGER NOT NULL REFERENCES runs,
    bucket INTEGER NOT NULL,
    block_no INTEGER NOT NULL REFERENCES blocks,
    n INTEGER NOT NULL CHECK(n >= 0),
    PRIMARY KEY(run, bucket, block_no)
) STRICT, WITHOUT ROWID;

-- Passes that no report may carry any more: refused upstream for good, or the code was spoiled after it passed.
CREATE TABLE held(
    run INTEGER NOT NULL REFERENCES runs,
    pass_no INTEGER NOT NULL,
    report_no INTEGER REFERENCES reports,
    why TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY(run, pass_no)
) STRICT, WITHOUT ROWID;

CREATE TABLE reports(
    report_no INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs,
    kind INTEGER NOT NULL,
    state INTEGER NOT NULL,
    why TEXT NOT NULL,
    upstream_id TEXT,
    replaces INTEGER REFERENCES reports,
    drafted_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    passes INTEGER NOT NULL CHECK(passes >= 0)
) STRICT;
CREATE INDEX reports_open ON reports(report_no) WHERE state < 4;
CREATE INDEX reports_run ON reports(run);

-- live: the report is open or in effect.
CREATE TABLE report_ranges(
    report_no INTEGER NOT NULL REFERENCES reports,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    run INTEGER NOT NULL REFERENCES runs,
    kind INTEGER NOT NULL,
    live INTEGER NOT NULL,
    PRIMARY KEY(report_no, first)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX report_ranges_live ON report_ranges(run, kind, first) WHERE live = 1;
CREATE INDEX report_ranges_run ON report_ranges(run, first);

CREATE TABLE report_blocks(
    report_no INTEGER NOT NULL REFERENCES reports,
    block_no INTEGER NOT NULL REFERENCES blocks,
    n INTEGER NOT NULL CHECK(n >= 0),
    PRIMARY KEY(report_no, block_no)
) STRICT, WITHOUT ROWID;

-- Every change of state of a run (1), an order (2) and a report (3), with who and why.
CREATE TABLE changes(
    id INTEGER PRIMARY KEY,
    subject INTEGER NOT NULL,
    no INTEGER NOT NULL,
    state INTEGER NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX changes_of ON changes(subject, no);

CREATE TABLE incidents(
    id INTEGER PRIMARY KEY,
    run INTEGER REFERENCES runs,
    gtin_id INTEGER REFERENCES gtins,
    serial BLOB,
    boot INTEGER,
    tag INTEGER,
    key TEXT NOT NULL,
    detail TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX incidents_code ON incidents(gtin_id, serial) WHERE serial IS NOT NULL;
CREATE INDEX incidents_run ON incidents(run, at);

CREATE TABLE audit(
    id INTEGER PRIMARY KEY,
    who TEXT NOT NULL,
    come_from TEXT NOT NULL,
    command TEXT NOT NULL,
    outcome TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit(at);

CREATE TABLE answers(
    id INTEGER PRIMARY KEY,
    request TEXT NOT NULL,
    status INTEGER,
    body BLOB NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE TABLE alarms(
    id INTEGER PRIMARY KEY,
    line INTEGER,
    key TEXT NOT NULL,
    detail TEXT NOT NULL,
    raised_at INTEGER NOT NULL,
    acknowledged_at INTEGER,
    acknowledged_by TEXT,
    cleared_at INTEGER
) STRICT;
CREATE UNIQUE INDEX alarms_open ON alarms(ifnull(line, -1), key) WHERE cleared_at IS NULL;
