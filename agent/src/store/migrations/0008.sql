-- What became of a pack by key (opened, named, label, full, short, voided) with the name given or the label's number; why
-- is a person's reason from here on. Packs of before wrote all three into why.
ALTER TABLE changes ADD COLUMN mark TEXT NOT NULL DEFAULT '';
ALTER TABLE changes ADD COLUMN detail TEXT NOT NULL DEFAULT '';
UPDATE changes SET mark = 'opened' WHERE subject = 4 AND why = ''
    AND id = (SELECT min(c.id) FROM changes c WHERE c.subject = 4 AND c.no = changes.no);
UPDATE changes SET mark = iif(why = 'full', 'full', 'short'), why = iif(why = 'full', '', why) WHERE subject = 4
    AND id = (SELECT min(c.id) FROM changes c WHERE c.subject = 4 AND c.no = changes.no AND c.state = 1);
UPDATE changes SET mark = 'voided' WHERE subject = 4 AND mark = '' AND state = 2;
UPDATE changes SET mark = 'named', detail = why, why = ''
    WHERE subject = 4 AND mark = '' AND state = 0 AND length(why) = 18 AND why NOT GLOB '*[^0-9]*';
UPDATE changes SET mark = 'label', detail = CAST(CAST(substr(why, 7) AS INTEGER) AS TEXT),
    why = iif(instr(why, ': ') > 0, substr(why, instr(why, ': ') + 2), '')
    WHERE subject = 4 AND mark = '' AND why LIKE 'label %';

-- The audit log (0) and the changes of state (1) are trails: each row has the hash over itself and the row before it. Rows
-- up to begins are of before and have none. last and hash are those of the last row.
ALTER TABLE changes ADD COLUMN hash BLOB;
ALTER TABLE audit ADD COLUMN hash BLOB;
CREATE TABLE trails(
    trail INTEGER PRIMARY KEY,
    begins INTEGER NOT NULL,
    last INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;
INSERT INTO trails(trail, begins, last, hash) SELECT 0, ifnull(max(id), 0), ifnull(max(id), 0), zeroblob(32) FROM audit;
INSERT INTO trails(trail, begins, last, hash) SELECT 1, ifnull(max(id), 0), ifnull(max(id), 0), zeroblob(32) FROM changes;

-- Which packs have, or had, items of a run, and how many of them lie in each now.
CREATE TABLE run_packs(
    run INTEGER NOT NULL REFERENCES runs,
    pack_no INTEGER NOT NULL REFERENCES packs,
    n INTEGER NOT NULL CHECK(n >= 0),
    PRIMARY KEY(run, pack_no)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_packs_of ON run_packs(pack_no);
-- Passed items of a run that lie in packs, by bucket (pass_no / 128): where one is not full, something is not packed.
CREATE TABLE packed(
    run INTEGER NOT NULL REFERENCES runs,
    bucket INTEGER NOT NULL,
    n INTEGER NOT NULL CHECK(n >= 0),
    PRIMARY KEY(run, bucket)
) STRICT, WITHOUT ROWID;
INSERT INTO run_packs(run, pack_no, n) SELECT run, pack_no, count(*) FROM codes WHERE pack_no IS NOT NULL GROUP BY 1, 2;
INSERT INTO run_packs(run, pack_no, n) SELECT DISTINCT c.run, t.pack_no, 0 FROM taken_out t
    JOIN codes c ON c.gtin_id = t.gtin_id AND c.serial = t.serial WHERE c.run IS NOT NULL ON CONFLICT DO NOTHING;
INSERT INTO packed(run, bucket, n)
    SELECT run, pass_no / 128, count(*) FROM codes WHERE pack_no IS NOT NULL GROUP BY 1, 2;
-- Kept here, so that nobody who moves an item can forget them.
CREATE TRIGGER codes_packed AFTER UPDATE OF pack_no ON codes WHEN old.pack_no IS NOT new.pack_no BEGIN
    UPDATE run_packs SET n = n - 1 WHERE run = old.run AND pack_no = old.pack_no;
    UPDATE packed SET n = n - 1 WHERE run = old.run AND bucket = old.pass_no / 128 AND old.pack_no IS NOT NULL;
    INSERT INTO run_packs(run, pack_no, n) SELECT new.run, new.pack_no, 1 WHERE new.pack_no IS NOT NULL
        ON CONFLICT DO UPDATE SET n = n + 1;
    INSERT INTO packed(run, bucket, n) SELECT new.run, new.pass_no / 128, 1 WHERE new.pack_no IS NOT NULL
        ON CONFLICT DO UPDATE SET n = n + 1;
END;

-- Who signed a run's closing sheet, and the head of the dossier that says what was signed.
CREATE TABLE sign_offs(
    sign_no INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs,
    who TEXT NOT NULL,
    come_from TEXT NOT NULL,
    why TEXT NOT NULL,
    unresolved INTEGER NOT NULL,
    lines INTEGER NOT NULL,
    head BLOB NOT NULL CHECK(length(head) = 32),
    at INTEGER NOT NULL,
    UNIQUE(run, head)
) STRICT;
