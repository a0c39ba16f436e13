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
