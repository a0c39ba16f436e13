-- Codes whose item was rejected are found by run: at its close they are rejected for good (state 15).
CREATE INDEX codes_rejected ON codes(run, issue_no) WHERE state = 3;

-- Runs that closed before this rule kept them as verified for ever.
CREATE TEMP TABLE left_over AS
    SELECT c.gtin_id, c.serial, c.block_no, c.run FROM codes c JOIN runs r ON r.run = c.run
    WHERE c.state = 3 AND r.state = 3;
UPDATE codes SET state = 15 WHERE (gtin_id, serial) IN (SELECT gtin_id, serial FROM left_over);
UPDATE blocks SET verified = verified - o.n, spoiled = spoiled + o.n
    FROM (SELECT block_no, count(*) n FROM left_over GROUP BY block_no) o WHERE o.block_no = blocks.block_no;
UPDATE runs SET verified = verified - o.n, spoiled = spoiled + o.n
    FROM (SELECT run, count(*) n FROM left_over GROUP BY run) o WHERE o.run = runs.run;
DROP TABLE left_over;

-- Items that the gate numbered and rejected while nobody looked: first ..= last of one boot, each rejected as 'away'.
-- Ranges of one run and boot do not overlap, and none of their items is in ends or open_tags.
CREATE TABLE away(
    run INTEGER NOT NULL REFERENCES runs,
    boot INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL CHECK(last >= first),
    at INTEGER NOT NULL,
    PRIMARY KEY(run, boot, first)
) STRICT, WITHOUT ROWID;

-- The bytes of a block until its last slice is unpacked, in pieces: piece = body * 2^20 + place. A body without a block
-- is arriving; a spent one is let go, some pieces at a time.
ALTER TABLE bodies RENAME TO bodies_1;
CREATE TABLE bodies(
    body INTEGER PRIMARY KEY,
    order_no INTEGER NOT NULL REFERENCES orders,
    pack_id TEXT NOT NULL,
    size INTEGER NOT NULL,
    kept INTEGER NOT NULL DEFAULT 0,
    block_no INTEGER UNIQUE REFERENCES blocks,
    spent INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE pieces(
    piece INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;
INSERT INTO bodies(body, order_no, pack_id, size, kept, block_no)
    SELECT block_no, order_no, pack_id, length(body), 1, block_no FROM bodies_1 JOIN blocks USING(block_no);
INSERT INTO pieces SELECT block_no << 20, body FROM bodies_1;
DROP TABLE bodies_1;
