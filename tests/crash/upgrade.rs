//! Starts cut short: over no folder at all, and over folders that older versions left, which are migrated. However
//! often it is killed, the next start goes on, and what was in the books is in them, in the words of the new schema.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use tamga::store::open::{database_path, schema_known};
use tamga_simulators::model::plant::Kind;

use super::agent::Agent;
use super::look::{self, Acks};
use super::scene;
use super::tally::Tally;
use super::world::operator::Operator;
use super::world::{GTIN, Wanted, World};

/// Codes of each kind in an old database: its migration takes as long as the rest of a start.
const CODES: u32 = 2_000;

/// The schemas before this one, in order.
const SCHEMAS: [&str; 11] = [
    include_str!("../../agent/src/store/migrations/0001.sql"),
    include_str!("../../agent/src/store/migrations/0002.sql"),
    include_str!("../../agent/src/store/migrations/0003.sql"),
    include_str!("../../agent/src/store/migrations/0004.sql"),
    include_str!("../../agent/src/store/migrations/0005.sql"),
    include_str!("../../agent/src/store/migrations/0006.sql"),
    include_str!("../../agent/src/store/migrations/0007.sql"),
    include_str!("../../agent/src/store/migrations/0008.sql"),
    include_str!("../../agent/src/store/migrations/0009.sql"),
    include_str!("../../agent/src/store/migrations/0010.sql"),
    include_str!("../../agent/src/store/migrations/0011.sql"),
];

/// Kills in a row before a start may go to its end.
const IN_A_ROW: std::ops::Range<u64> = 1..6;

/// So many kills over folders laid anew.
pub async fn play(seed: u64, kills: u64, dir: &Path, tally: &Tally) {
    let wanted = Wanted { kind: Kind::PrePrinted, seed, ..Wanted::default() };
    let world = World::build(&wanted, dir).await;
    without_upstream(&world);
    let data = dir.join("data");
    let operator = Operator::new(world.api, &data);
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut done, mut from) = (0, 0);
    let mut ready_in = Duration::ZERO;
    while done < kills {
        lay(&data, from);
        // The first start of each folder is whole until it is known how long one takes.
        let in_a_row = if ready_in.is_zero() { 0 } else { random.u64(IN_A_ROW).min(kills - done) };
        for _ in 0..in_a_row {
            let mut agent = Agent::start(&world);
            tokio::time::sleep(ready_in.mul_f64(random.f64() * 1.2)).await;
            agent.kill();
            tally.struck(&format!("kill in a start from {}, {}", schema_name(from), found(&data, dir)));
        }
        done += in_a_row;
        let mut agent = Agent::start(&world);
        let took = scene::ready_in(&operator, &agent).await;
        ready_in = ready_in.max(took).min(took * 2);
        let ended = agent.terminate().await;
        if ended != Some(0) {
            tally.violation(format!("SIGTERM ends it with {ended:?}\n{}", agent.log_tail()));
        }
        check(&data, from, tally);
        from = (from + 1) % (schema_known() as usize);
    }
    world.plant.shutdown().await;
}

fn schema_name(from: usize) -> String {
    if from == 0 { "nothing".to_owned() } else { format!("schema {from}") }
}

/// What the kill left, read from a copy: a look would heal what the next start must heal.
fn found(data: &Path, dir: &Path) -> String {
    if !data.exists() {
        return "no folder yet".to_owned();
    }
    let copy = dir.join("look");
    drop(std::fs::remove_dir_all(&copy));
    look::copy(data, &copy);
    match look::schema(&copy) {
        None => "no database yet".to_owned(),
        Some(schema) => format!("at schema {schema}"),
    }
}

fn check(data: &Path, from: usize, tally: &Tally) {
    let place = schema_name(from);
    for wrong in look::into(data, &Acks::default()) {
        tally.violation(format!("after starts from {place}: {wrong}"));
    }
    let conn = Connection::open(database_path(data)).unwrap();
    let count = |sql: &str| conn.query_row(sql, [], |r| r.get::<_, i64>(0)).unwrap();
    let codes = if from == 0 { 0 } else { i64::from(CODES) };
    let wanted = [
        ("PRAGMA user_version", i64::from(schema_known())),
        // Schema 2 spoils what schema 1 left verified and rejected in a closed run.
        ("SELECT count(*) FROM codes WHERE state = 15", codes),
        ("SELECT count(*) FROM stock", codes),
        // Schema 3 keeps the bodies of blocks in pieces.
        ("SELECT ifnull(sum(length(bytes)), 0) FROM pieces", 100 * codes),
        // Schema 4 reads the moments of runs as days.
        ("SELECT ifnull(sum(production), 0) FROM runs", if from == 0 { 0 } else { 20_779 }),
    ];
    for (sql, wanted) in wanted {
        let found = count(sql);
        if found != wanted {
            tally.violation(format!("after starts from {place}: {sql} is {found}, not {wanted}"));
        }
    }
    tally.compared("starts that went to their end", 1);
}

/// No state system: nothing changes the old books but the migrations.
fn without_upstream(world: &World) {
    let text = std::fs::read_to_string(&world.config).unwrap();
    let (before, rest) = text.split_once("[upstream.xtrace]").unwrap();
    let (_, after) = rest.split_once("[[products]]").unwrap();
    std::fs::write(&world.config, format!("{before}[[products]]{after}")).unwrap();
}

/// A data folder as a version with that schema left it; 0 is none at all.
fn lay(data: &Path, schema: usize) {
    drop(std::fs::remove_dir_all(data));
    if schema == 0 {
        return;
    }
    std::fs::create_dir_all(data).unwrap();
    let conn = Connection::open(database_path(data)).unwrap();
    conn.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    conn.execute_batch(SCHEMAS[0]).unwrap();
    let serial = "CAST(printf('S%012d', n) AS BLOB)";
    let many = format!("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {CODES})");
    conn.execute_batch(&format!(
        "BEGIN;
         INSERT INTO meta VALUES('agent_id', '0a1b2c3d'), ('lines', 'l1');
         INSERT INTO gtins VALUES(1, '{GTIN}');
         INSERT INTO blocks(block_no, pack_id, goods_group, received_at, received, unpacked, pooled, verified)
             VALUES(1, 'roll', 'water', 0, 2 * {CODES}, 2 * {CODES}, {CODES}, {CODES});
         INSERT INTO orders(order_no, po_number, gtin_id, goods_group, kind, quantity, release_method, state, why,
             wanted_at, changed_at, received_n) VALUES(5, 'PO', 1, 'water', 0, {CODES}, 'P', 4, '', 0, 0, {CODES});
         INSERT INTO blocks(block_no, order_no, pack_id, goods_group, received_at, received)
             VALUES(2, 5, 'pack', 'water', 0, {CODES});
         INSERT INTO bodies VALUES(2, zeroblob(100 * {CODES}));
         {many} INSERT INTO stock SELECT 1, {}, X'6447567A', 1 FROM c;
         INSERT INTO lines(line) VALUES(0);
         INSERT INTO runs(run, line, key, gtin_id, goods_group, quantity, batch, production, state, opened_at,
             opened_by, last_issue, issued, verified, triggers, rejected) VALUES
             (1, 0, 'a', 1, 'water', 0, 'B', 20779 * 86400000, 3, 0, 'anna', {CODES}, {CODES}, {CODES}, {CODES},
             {CODES});
         {many} INSERT INTO codes(gtin_id, serial, tail, block_no, state, run, issue_no, boot, tag)
             SELECT 1, {}, X'6447567A', 1, 3, 1, n, 1, n FROM c;
         INSERT INTO run_blocks VALUES(1, 1, {CODES});
         INSERT INTO run_rejects VALUES(1, 'late', {CODES});
         {many} INSERT INTO ends SELECT 1, 1, n, 'late', 0 FROM c;
         COMMIT;",
        serial.replace("'S", "'R"),
        serial,
    ))
    .unwrap();
    for sql in &SCHEMAS[1..schema] {
        conn.execute_batch(&format!("BEGIN; {sql} COMMIT;")).unwrap();
    }
    conn.execute_batch(&format!("PRAGMA application_id = 0x546D6761; PRAGMA user_version = {schema}"))
        .unwrap();
}
