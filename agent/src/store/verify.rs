//! Everything counted anew, and compared with the counts kept. For tests and for `doctor`, never at a start: it reads
//! the whole database.
//!
//! Each check is a query whose rows are findings: what, the number kept, the number counted.

use super::error::StoreError;
use super::limits::FINDINGS_MAX;
use super::read::View;
use super::trail::Trail;

/// A count that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check that found it.
    pub check: &'static str,
    /// The block, run, order or code.
    pub subject: String,
    pub kept: i64,
    pub counted: i64,
}

const CHECKS: &[(&str, &str)] = &[
    (
        "blocks: set aside",
        "SELECT block_no, set_aside, (SELECT count(*) FROM set_aside s WHERE s.block_no = b.block_no) FROM blocks b \
         WHERE set_aside <> (SELECT count(*) FROM set_aside s WHERE s.block_no = b.block_no)",
    ),
    (
        "blocks: pooled",
        "WITH c AS (SELECT block_no, count(*) n FROM (SELECT block_no FROM pool UNION ALL SELECT block_no FROM stock) \
         GROUP BY block_no) SELECT b.block_no, pooled, ifnull(n, 0) FROM blocks b LEFT JOIN c USING(block_no) \
         WHERE pooled <> ifnull(n, 0)",
    ),
    (
        "blocks: issued, verified or applied, spoiled, written off, returned",
        "WITH c AS (SELECT block_no, sum(state = 0) i, sum(state IN (1, 2, 3)) v, sum(state >= 10) s, \
         sum(state = 4) w, sum(state = 5) r FROM codes GROUP BY block_no) \
         SELECT b.block_no, issued + 1000 * (verified + applied), ifnull(i, 0) + 1000 * ifnull(v, 0) \
         FROM blocks b LEFT JOIN c USING(block_no) WHERE issued <> ifnull(i, 0) \
         OR verified + applied <> ifnull(v, 0) OR spoiled <> ifnull(s, 0) OR written_off <> ifnull(w, 0) \
         OR returned <> ifnull(r, 0)",
    ),
    (
        "blocks: applied",
        "WITH c AS (SELECT c.block_no, count(*) n FROM report_ranges g \
         JOIN reports t ON t.report_no = g.report_no AND t.state = 4 \
         JOIN runs r ON r.run = g.run JOIN passes p ON p.run = g.run AND p.pass_no BETWEEN g.first AND g.last \
         JOIN codes c ON c.gtin_id = r.gtin_id AND c.serial = p.serial \
         WHERE c.state <> 4 AND NOT EXISTS(SELECT 1 FROM held h WHERE h.run = p.run AND h.pass_no = p.pass_no) \
         GROUP BY c.block_no) SELECT b.block_no, applied, ifnull(n, 0) FROM blocks b LEFT JOIN c USING(block_no) \
         WHERE applied <> ifnull(n, 0)",
    ),
    (
        "blocks: a body exactly while codes wait in it",
        "SELECT b.block_no, received - unpacked, \
         EXISTS(SELECT 1 FROM bodies x WHERE x.block_no = b.block_no AND x.spent = 0) FROM blocks b \
         WHERE (received > unpacked) <> EXISTS(SELECT 1 FROM bodies x WHERE x.block_no = b.block_no AND x.spent = 0)",
    ),
    (
        "bodies: the pieces of a body that is not spent are its bytes, and there are no others",
        "WITH p AS (SELECT piece >> 20 body, sum(length(bytes)) n FROM pieces GROUP BY 1) \
         SELECT body, size, ifnull(n, 0) FROM bodies LEFT JOIN p USING(body) \
         WHERE spent = 0 AND block_no IS NOT NULL AND size <> ifnull(n, 0) \
         UNION ALL SELECT body, 0, n FROM p WHERE body NOT IN (SELECT body FROM bodies)",
    ),
    (
        "orders: codes in the pool",
        "WITH c AS (SELECT order_no, count(*) n FROM pool GROUP BY order_no) \
         SELECT o.order_no, left_n, ifnull(n, 0) FROM orders o LEFT JOIN c USING(order_no) \
         WHERE left_n <> ifnull(n, 0)",
    ),
    (
        "orders: received",
        "WITH c AS (SELECT order_no, sum(received) n FROM blocks GROUP BY order_no) \
         SELECT o.order_no, received_n, ifnull(n, 0) FROM orders o LEFT JOIN c USING(order_no) \
         WHERE received_n <> ifnull(n, 0)",
    ),
    (
        "runs: codes issued, in doubt, spoiled",
        "WITH c AS (SELECT run, count(*) n, sum(state = 0) i, sum(state >= 10) s FROM codes \
         WHERE run IS NOT NULL GROUP BY run) \
         SELECT r.run, issued + 1000 * in_doubt, ifnull(n, 0) + 1000 * ifnull(i, 0) FROM runs r \
         LEFT JOIN c USING(run) WHERE issued <> ifnull(n, 0) OR in_doubt <> ifnull(i, 0) OR spoiled <> ifnull(s, 0)",
    ),
    (
        "runs: a closed run has no code issued, of unknown pass or of a rejected item",
        "SELECT r.run, 0, count(*) FROM runs r JOIN codes c ON c.run = r.run AND c.state IN (0, 2, 3) \
         WHERE r.state = 3 GROUP BY r.run",
    ),
    (
        "runs: applied is what reports in effect carry",
        "WITH c AS (SELECT run, sum(passes) n FROM reports WHERE state = 4 GROUP BY run) \
         SELECT r.run, applied + written_off, ifnull(n, 0) FROM runs r LEFT JOIN c USING(run) \
         WHERE applied + written_off <> ifnull(n, 0)",
    ),
    (
        "runs: passed items are passed codes",
        "WITH c AS (SELECT run, count(*) n FROM passes GROUP BY run) \
         SELECT r.run, passed, ifnull(n, 0) FROM runs r LEFT JOIN c USING(run) \
         WHERE passed <> ifnull(n, 0) OR last_pass <> ifnull(n, 0)",
    ),
    (
        "runs: open items",
        "SELECT run, open_tags, (SELECT count(*) FROM open_tags t WHERE t.run = r.run) FROM runs r \
         WHERE open_tags <> (SELECT count(*) FROM open_tags t WHERE t.run = r.run)",
    ),
    (
        "runs: rejected by reason",
        "SELECT run, rejected, (SELECT ifnull(sum(n), 0) FROM run_rejects t WHERE t.run = r.run) FROM runs r \
         WHERE rejected <> (SELECT ifnull(sum(n), 0) FROM run_rejects t WHERE t.run = r.run)",
    ),
    (
        "runs: ends of items that did not pass",
        "WITH e AS (SELECT run, count(*) n FROM ends GROUP BY run), \
         a AS (SELECT run, sum(last - first + 1) n FROM away GROUP BY run) \
         SELECT run, rejected + lost + escaped, ifnull(e.n, 0) + ifnull(a.n, 0) FROM runs r \
         LEFT JOIN e USING(run) LEFT JOIN a USING(run) \
         WHERE rejected + lost + escaped <> ifnull(e.n, 0) + ifnull(a.n, 0)",
    ),
    (
        "runs: items that nobody saw are in one range, and in no other place",
        "SELECT a.run || '/' || a.boot || '.' || a.first, 1, 2 FROM away a WHERE \
         EXISTS(SELECT 1 FROM away b WHERE b.run = a.run AND b.boot = a.boot AND b.first > a.first AND b.first <= a.last) \
         OR EXISTS(SELECT 1 FROM ends e WHERE e.run = a.run AND e.boot = a.boot AND e.tag BETWEEN a.first AND a.last) \
         OR EXISTS(SELECT 1 FROM open_tags o WHERE o.run = a.run AND o.boot = a.boot AND o.tag BETWEEN a.first AND a.last)",
    ),
    (
        "runs: passes carried",
        "SELECT run, carried, (SELECT ifnull(sum(passes), 0) FROM reports t WHERE t.run = r.run AND state <> 5) \
         FROM runs r WHERE carried <> \
         (SELECT ifnull(sum(passes), 0) FROM reports t WHERE t.run = r.run AND state <> 5)",
    ),
    (
        "runs: passes held",
        "SELECT run, held, (SELECT count(*) FROM held h WHERE h.run = r.run) FROM runs r \
         WHERE held <> (SELECT count(*) FROM held h WHERE h.run = r.run)",
    ),
    (
        "runs: codes by block",
        "WITH c AS (SELECT run, block_no, count(*) n FROM codes WHERE run IS NOT NULL GROUP BY run, block_no) \
         SELECT b.run || '/' || b.block_no, b.n, ifnull(c.n, 0) FROM run_blocks b LEFT JOIN c USING(run, block_no) \
         WHERE b.n <> ifnull(c.n, 0)",
    ),
    (
        "passes by block and bucket",
        "WITH c AS (SELECT p.run, p.pass_no / 128 bucket, c.block_no, count(*) n FROM passes p \
         JOIN runs r ON r.run = p.run JOIN codes c ON c.gtin_id = r.gtin_id AND c.serial = p.serial \
         WHERE NOT EXISTS(SELECT 1 FROM held h WHERE h.run = p.run AND h.pass_no = p.pass_no) GROUP BY 1, 2, 3) \
         SELECT b.run || '/' || bucket || '/' || b.block_no, b.n, ifnull(c.n, 0) FROM pass_blocks b \
         LEFT JOIN c USING(run, bucket, block_no) WHERE b.n <> ifnull(c.n, 0)",
    ),
    (
        "reports: passes are the sum of their blocks, and of their ranges without those held",
        "SELECT report_no, passes, (SELECT ifnull(sum(n), 0) FROM report_blocks b WHERE b.report_no = t.report_no) \
         FROM reports t \
         WHERE passes <> (SELECT ifnull(sum(n), 0) FROM report_blocks b WHERE b.report_no = t.report_no) \
         OR (state <> 5 AND passes <> (SELECT sum(last - first + 1 - (SELECT count(*) FROM held h \
         WHERE h.run = g.run AND h.pass_no BETWEEN g.first AND g.last)) FROM report_ranges g \
         WHERE g.report_no = t.report_no))",
    ),
    (
        "codes: a pass number and its pass agree",
        "SELECT p.run || '/' || p.pass_no, p.pass_no, ifnull(c.pass_no, 0) FROM passes p JOIN runs r ON r.run = p.run \
         LEFT JOIN codes c ON c.gtin_id = r.gtin_id AND c.serial = p.serial \
         WHERE c.pass_no IS NOT p.pass_no OR c.run IS NOT p.run",
    ),
    (
        "codes: in one place only",
        "SELECT hex(serial), 1, 2 FROM pool JOIN orders USING(order_no) JOIN codes USING(gtin_id, serial) UNION ALL \
         SELECT hex(serial), 1, 2 FROM pool JOIN orders USING(order_no) JOIN stock USING(gtin_id, serial) UNION ALL \
         SELECT hex(serial), 1, 2 FROM stock JOIN codes USING(gtin_id, serial)",
    ),
    (
        "codes: all that were ever issued are counted",
        "WITH c AS (SELECT count(*) n FROM codes WHERE issued_after IS NOT NULL), \
         m AS (SELECT CAST(value AS INTEGER) kept FROM meta WHERE key = 'issued_total') \
         SELECT 'issued_total', ifnull((SELECT kept FROM m), 0), n FROM c \
         WHERE ifnull((SELECT kept FROM m), 0) < n",
    ),
    (
        "packs: content is what lies in them",
        "WITH i AS (SELECT pack_no, count(*) n FROM codes WHERE pack_no IS NOT NULL GROUP BY pack_no \
         UNION ALL SELECT pack_no, count(*) FROM foreign_content GROUP BY pack_no), \
         c AS (SELECT parent, count(*) n FROM packs WHERE parent IS NOT NULL GROUP BY parent) \
         SELECT p.pack_no, content, ifnull(i.n, 0) + ifnull(c.n, 0) FROM packs p \
         LEFT JOIN i USING(pack_no) LEFT JOIN c ON c.parent = p.pack_no \
         WHERE content <> ifnull(i.n, 0) + ifnull(c.n, 0)",
    ),
    (
        "packs: what lies in them passed, or is a closed pack of a lower level",
        "SELECT hex(serial), 1, state FROM codes WHERE pack_no IS NOT NULL AND state <> 1 UNION ALL \
         SELECT c.pack_no, p.level, c.level FROM packs c JOIN packs p ON p.pack_no = c.parent \
         WHERE c.level >= p.level OR p.state = 2",
    ),
    (
        "packs: a group pack bears a code of ours, whose item lies nowhere else",
        "SELECT p.pack_no, c.serial IS NOT NULL, ifnull(c.pack_no, 0) FROM packs p \
         LEFT JOIN codes c ON c.gtin_id = p.name_gtin AND c.serial = p.name_serial \
         WHERE name_serial IS NOT NULL AND (c.serial IS NULL OR c.pack_no IS NOT NULL)",
    ),
    (
        "packs: one that follows another holds what stayed in it, and the other one is void",
        "SELECT p.pack_no, 2, o.state FROM packs p JOIN packs o ON o.pack_no = p.follows WHERE o.state <> 2",
    ),
    (
        "packs: what is to be written off lies in none",
        "SELECT hex(c.serial), 0, c.pack_no FROM write_offs w JOIN codes c USING(gtin_id, serial) \
         WHERE c.pack_no IS NOT NULL",
    ),
    (
        "packs: each is what its content is of",
        "WITH i AS (SELECT pack_no, count(DISTINCT run) r, min(run) run, count(DISTINCT gtin_id) g, min(gtin_id) gtin \
         FROM codes WHERE pack_no IS NOT NULL GROUP BY pack_no) \
         SELECT p.pack_no, p.run, i.run FROM packs p JOIN i USING(pack_no) \
         WHERE (p.run IS NOT NULL AND (r > 1 OR p.run <> i.run)) OR (p.gtin_id IS NOT NULL AND (g > 1 OR p.gtin_id <> i.gtin)) \
         OR (mixing = 0 AND r > 1) OR (mixing < 2 AND g > 1)",
    ),
    (
        "packs: items by run and pack",
        "WITH c AS (SELECT run, pack_no, count(*) n FROM codes WHERE pack_no IS NOT NULL GROUP BY run, pack_no), \
         k AS (SELECT run, pack_no FROM run_packs UNION SELECT run, pack_no FROM c) \
         SELECT k.run || '/' || k.pack_no, ifnull(r.n, 0), ifnull(c.n, 0) FROM k LEFT JOIN run_packs r USING(run, pack_no) \
         LEFT JOIN c USING(run, pack_no) WHERE ifnull(r.n, 0) <> ifnull(c.n, 0)",
    ),
    (
        "packs: items by run and bucket",
        "WITH c AS (SELECT run, pass_no / 128 bucket, count(*) n FROM codes WHERE pack_no IS NOT NULL GROUP BY 1, 2), \
         k AS (SELECT run, bucket FROM packed UNION SELECT run, bucket FROM c) \
         SELECT k.run || '/' || k.bucket, ifnull(p.n, 0), ifnull(c.n, 0) FROM k LEFT JOIN packed p USING(run, bucket) \
         LEFT JOIN c USING(run, bucket) WHERE ifnull(p.n, 0) <> ifnull(c.n, 0)",
    ),
    (
        "documents: pieces, those without an end, those in effect",
        "WITH c AS (SELECT document_no, count(*) n, sum(ended = 0) o, sum(ended = 1) t FROM document_pieces GROUP BY 1) \
         SELECT d.document_no, pieces + 10000 * open, ifnull(n, 0) + 10000 * ifnull(o, 0) FROM documents d \
         LEFT JOIN c USING(document_no) WHERE pieces <> ifnull(n, 0) OR open <> ifnull(o, 0) OR taken <> ifnull(t, 0)",
    ),
    (
        "packs: what upstream knows is what documents say",
        "WITH k AS (SELECT p.pack_no, p.told, \
         (SELECT count(*) FROM document_pieces d JOIN documents USING(document_no) \
         WHERE d.pack_no = p.pack_no AND ended = 0) o, \
         (SELECT count(*) FROM document_pieces d JOIN documents USING(document_no) \
         WHERE d.pack_no = p.pack_no AND ended = 1 AND kind = 0) a, \
         (SELECT count(*) FROM document_pieces d JOIN documents USING(document_no) \
         WHERE d.pack_no = p.pack_no AND ended = 1 AND kind = 1) t FROM packs p WHERE agent IS NULL) \
         SELECT pack_no, told, 100 * o + 10 * a + t FROM k WHERE o > 1 OR a > 1 OR t > a OR (o = 1) <> (told IN (1, 3)) \
         OR (told = 2 AND (a = 0 OR t > 0)) OR (told = 4 AND t = 0) OR (told = 0 AND a > 0)",
    ),
    (
        "codes: in one order's pool only",
        "SELECT hex(serial), 1, count(*) FROM pool JOIN orders USING(order_no) GROUP BY gtin_id, serial \
         HAVING count(*) > 1",
    ),
];

/// Counts everything anew. Empty when all is as it should be.
pub fn verify(view: &View<'_>) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Vec::new();
    for (check, sql) in CHECKS {
        findings.extend(view.findings(check, &format!("{sql} LIMIT {FINDINGS_MAX}"))?);
    }
    for trail in Trail::ALL {
        findings.extend(view.check_trail(trail)?);
    }
    Ok(findings)
}

impl View<'_> {
    fn findings(&self, check: &'static str, sql: &str) -> Result<Vec<Finding>, StoreError> {
        self.all(sql, [], |r| {
            let subject = match r.get_ref(0)? {
                rusqlite::types::ValueRef::Text(t) => String::from_utf8_lossy(t).into_owned(),
                _ => r.get::<_, i64>(0)?.to_string(),
            };
            Ok(Finding { check, subject, kept: r.get(1)?, counted: r.get(2)? })
        })
    }
}
