//! One agent as a process of its own: the product's store, writer and way to the broker, and somebody who packs, voids and
//! palletizes as fast as the others can follow. The process is this program again, told by its environment.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tamga::broker::link::Access;
use tamga::broker::{self, Setup};
use tamga::config::address::Address;
use tamga::desk::BrokerStatus;
use tamga::store::Store;
use tamga::store::open::database_path;
use tamga::store::writer::{self, Handle};
use tamga_domain::ids::{AgentId, PackNo, StationNo, TxnId};
use tamga_domain::pack::record::{NewName, PackAnswer, PackRecord};
use tamga_domain::pack::{Child as Packed, Holds, Level, Mixing, Terms};
use tamga_domain::record::{Answer, Record, Txn};
use tamga_domain::sscc::{Sscc, SsccRange};
use tamga_domain::time::Wall;
use tokio::sync::watch;

use crate::kit::{Folder, World, identity};

const TOLD: &str = "TAMGA_BROKER_AGENT";
/// Items of a packing agent; each lies in one box at most.
const ITEMS: u32 = 160;
/// Stations that each fill a box of one item at a time.
const STATIONS: u16 = 8;
/// Boxes that are closed and not void at one time, before the oldest are voided.
const BOXES: usize = 100;
/// Letters that a hearer may lack before nothing new is packed.
const LACKING_MAX: u64 = 1_500;
const PALLET: StationNo = StationNo(100);
const BOX_TERMS: Terms = Terms { level: Level::Box, holds: Holds::Items, capacity: 1, mixing: Mixing::Free };
const PALLET_TERMS: Terms =
    Terms { level: Level::Pallet, holds: Holds::Packs(Level::Box), capacity: 6, mixing: Mixing::Free };

/// What one agent is.
#[derive(Clone, Debug)]
pub struct Part {
    pub id: AgentId,
    pub dir: PathBuf,
    pub from: Vec<AgentId>,
    /// It packs items; another one palletizes the boxes of others.
    pub packs: bool,
}

/// A fault that the campaign must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Planted {
    /// The row of a letter is deleted when it is sent.
    DeletedWhenSent,
    /// The row of a letter is deleted when the broker has acknowledged it.
    DeletedWhenAcknowledged,
}

impl Part {
    /// Lays its database, with items that passed; and a book of everything that is taken, kept by the database itself.
    pub fn lay(&self, planted: Option<Planted>) {
        let store = Store::open(&self.dir, &self.id.to_string()).unwrap();
        let mut world = World { store, folder: Folder(self.dir.clone()), now: 1_700_000_000_000 };
        if self.packs {
            world.pool(ITEMS + 10);
            let run = world.run("r1");
            for first in (1..=ITEMS).step_by(100) {
                world.issue(run, (ITEMS + 1 - first).min(100));
            }
            for n in 1..=ITEMS {
                world.pass_item(run, n, n);
            }
        }
        let first = u64::from(self.id.0 & 0xF) * 10_000_000;
        let names = SsccRange::new(0, "4780001", first, first + 9_999_999).unwrap();
        world.store.use_names(&names).unwrap();
        world.store.share(true, Wall(1_700_000_000_000)).unwrap();
        let World { store, folder, .. } = world;
        let _kept = ManuallyDrop::new(folder);
        drop(store);
        let conn = Connection::open(database_path(&self.dir)).unwrap();
        conn.execute_batch(
            "CREATE TABLE book_of_marks(id INTEGER PRIMARY KEY, agent, stream, before, after);
             CREATE TRIGGER note_first AFTER INSERT ON heard BEGIN
                 INSERT INTO book_of_marks(agent, stream, before, after) VALUES(NEW.agent, NEW.stream, 0, NEW.mark);
             END;
             CREATE TRIGGER note_mark AFTER UPDATE ON heard BEGIN
                 INSERT INTO book_of_marks(agent, stream, before, after)
                     VALUES(NEW.agent, NEW.stream, OLD.mark, NEW.mark);
             END;
             CREATE TABLE book_of_packs(id INTEGER PRIMARY KEY, agent, sscc, stream, rev);
             CREATE TRIGGER note_pack AFTER UPDATE OF rev ON packs WHEN NEW.agent IS NOT NULL BEGIN
                 INSERT INTO book_of_packs(agent, sscc, stream, rev) VALUES(NEW.agent, NEW.sscc, NEW.stream, NEW.rev);
             END;",
        )
        .unwrap();
        let plant = match planted {
            Some(Planted::DeletedWhenSent) => {
                "CREATE TRIGGER planted AFTER INSERT ON letters BEGIN
                     DELETE FROM letters WHERE seq <= NEW.seq - 64;
                 END;"
            }
            Some(Planted::DeletedWhenAcknowledged) => {
                "CREATE TRIGGER planted AFTER UPDATE OF handed ON share BEGIN
                     DELETE FROM letters WHERE seq < NEW.handed;
                 END;"
            }
            None => return,
        };
        conn.execute_batch(plant).unwrap();
    }

    /// Starts it as a process of its own.
    pub fn start(&self, broker: SocketAddr, args: &[&str]) -> Running {
        let from: Vec<String> = self.from.iter().map(AgentId::to_string).collect();
        let told = [
            self.id.to_string(),
            self.dir.display().to_string(),
            broker.to_string(),
            from.join(","),
            self.packs.to_string(),
        ];
        let own = std::env::current_exe().unwrap();
        let mut command = Command::new(own);
        command.args(args).env(TOLD, told.join("\n")).stdin(Stdio::null()).stdout(Stdio::null());
        Running(command.spawn().expect("this program starts again"))
    }

    /// So many letters may be written, and then nothing new is packed.
    pub fn allow(&self, letters: u64) {
        let (new, file) = (self.dir.join("allowed.new"), self.dir.join("allowed"));
        std::fs::write(&new, letters.to_string()).unwrap();
        std::fs::rename(new, file).unwrap();
    }

    /// A look at its database, beside its process.
    pub fn look(&self) -> Connection {
        let conn =
            Connection::open_with_flags(database_path(&self.dir), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        conn.busy_timeout(Duration::from_secs(10)).unwrap();
        conn
    }
}

/// A running agent. Dropping it kills it.
pub struct Running(Child);

impl Running {
    /// SIGKILL; fails where it had ended by itself.
    pub fn kill(mut self) {
        let ended = self.0.try_wait().unwrap();
        assert_eq!(ended, None, "an agent ended by itself");
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Whether this process is one of the agents; then it was one until it was killed.
pub fn was_one() -> bool {
    let Ok(told) = std::env::var(TOLD) else { return false };
    let parts: Vec<&str> = told.split('\n').collect();
    let [id, dir, broker, from, packs] = parts[..] else { panic!("{told}") };
    let part = Part {
        id: AgentId::parse(id).unwrap(),
        dir: PathBuf::from(dir),
        from: from.split(',').filter_map(AgentId::parse).collect(),
        packs: packs == "true",
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(be(part, broker.parse().unwrap()));
    true
}

async fn be(part: Part, broker: SocketAddr) {
    let mut store = Store::open(&part.dir, &part.id.to_string()).unwrap();
    store.share(true, Wall(1)).unwrap();
    let (handle, _thread) = writer::spawn(store).unwrap();
    let (status, seen) = watch::channel(BrokerStatus::default());
    let (_stop, stopped) = watch::channel(false);
    let access = Access {
        address: Address { host: broker.ip().to_string(), port: broker.port() },
        client_id: format!("tamga-{}", part.id),
        login: None,
        keep_alive: Duration::from_secs(2),
    };
    let setup =
        Setup { access, agent: part.id, data: part.dir.clone(), share: true, from: part.from.clone() };
    let hands = Hands { part: part.clone(), writer: handle.clone(), seen, txn: 1 << 40 };
    // The plant's parent is gone: nobody would kill this process any more.
    let orphan = async {
        let parent = std::os::unix::process::parent_id();
        let mut look = tokio::time::interval(Duration::from_secs(1));
        while std::os::unix::process::parent_id() == parent {
            look.tick().await;
        }
    };
    tokio::select! {
        ended = broker::run(setup, &handle, status, stopped) => panic!("the way to the broker ended: {ended:?}"),
        () = hands.work() => {}
        () = orphan => {}
    }
}

/// Who packs and palletizes.
struct Hands {
    part: Part,
    writer: Handle,
    seen: watch::Receiver<BrokerStatus>,
    txn: u64,
}

impl Hands {
    async fn work(mut self) {
        let conn = self.part.look();
        let allowed = self.part.dir.join("allowed");
        let mut pace = tokio::time::interval(Duration::from_millis(5));
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        if self.part.packs {
            self.finish().await;
        }
        loop {
            pace.tick().await;
            let lacks = self.seen.borrow().share.hearers.iter().map(|(_, lacks)| *lacks).max().unwrap_or(0);
            let allowed: u64 = std::fs::read_to_string(&allowed).unwrap_or_default().parse().unwrap_or(0);
            let written = all(&conn, "SELECT ifnull(max(seq), 0) FROM letters", |r| r.get::<_, i64>(0))[0];
            if lacks > LACKING_MAX || u64::try_from(written).unwrap_or(0) >= allowed {
                continue;
            } else if self.part.packs {
                self.pack(&conn).await;
            } else {
                self.palletize(&conn).await;
            }
        }
    }

    async fn commit(&mut self, records: Vec<PackRecord>) -> Vec<PackAnswer> {
        self.txn += 1;
        let txn = Txn { id: TxnId(self.txn), records: records.into_iter().map(Record::Pack).collect() };
        let answers = self.writer.commit(txn).await.expect("the disk takes it");
        let of_packs = |answer| match answer {
            Answer::Pack(answer) => Some(answer),
            _ => None,
        };
        answers.into_iter().filter_map(of_packs).collect()
    }

    /// What a kill left open.
    async fn finish(&mut self) {
        let open = "SELECT pack_no FROM packs WHERE state = 0 AND agent IS NULL";
        let open: Vec<u32> = all(&self.part.look(), open, |r| r.get(0));
        self.close(open.into_iter().map(PackNo).collect()).await;
    }

    async fn close(&mut self, packs: Vec<PackNo>) {
        let records = packs.into_iter().flat_map(|pack| {
            let named = PackRecord::Named { pack, name: NewName::Next, at: Wall(1) };
            [named, PackRecord::Closed { pack, who: "box".into(), at: Wall(1) }]
        });
        let records: Vec<PackRecord> = records.collect();
        if !records.is_empty() {
            self.commit(records).await;
        }
    }

    /// A box at each station, of items that lie in none; and some of the boxes are void.
    async fn pack(&mut self, conn: &Connection) {
        let sql = "SELECT pack_no FROM packs p WHERE state = 1 AND agent IS NULL AND parent IS NULL \
                   AND NOT EXISTS(SELECT 1 FROM claims c WHERE c.sscc = p.sscc AND lies = 1) ORDER BY pack_no";
        let closed: Vec<u32> = all(conn, sql, |r| r.get(0));
        let many = closed.len().saturating_sub(BOXES).min(usize::from(STATIONS));
        let voided = (0..many).map(|_| closed[fastrand::usize(..closed.len())]).collect::<BTreeSet<u32>>();
        let void = |pack| PackRecord::Voided {
            pack: PackNo(pack),
            reason: "wet".into(),
            who: "anna".into(),
            at: Wall(1),
        };
        if !voided.is_empty() {
            self.commit(voided.into_iter().map(void).collect()).await;
        }
        let sql = "SELECT CAST(substr(CAST(serial AS TEXT), 2) AS INTEGER) FROM codes WHERE pack_no IS NULL AND state = 1 LIMIT 32";
        let mut free: Vec<u32> = all(conn, sql, |r| r.get(0));
        fastrand::shuffle(&mut free);
        let into = |(station, item): (u16, u32)| {
            let children = vec![Packed::Item { identity: identity(item), tail: None }];
            let (pack, station) = (None, StationNo(station));
            PackRecord::In { station, pack, terms: BOX_TERMS, children, who: "box".into(), at: Wall(1) }
        };
        let records: Vec<PackRecord> = (0..STATIONS).zip(free).map(into).collect();
        if records.is_empty() {
            return;
        }
        let answers = self.commit(records).await;
        let opened = |answer: &PackAnswer| match answer {
            PackAnswer::In { pack, .. } => Some(*pack),
            _ => None,
        };
        self.close(answers.iter().filter_map(opened).collect()).await;
    }

    /// Boxes of others onto a pallet, which is closed when it is full and taken apart some time later.
    async fn palletize(&mut self, conn: &Connection) {
        let open: Vec<(u32, u32, Option<i64>)> =
            all(conn, "SELECT pack_no, content, sscc FROM packs WHERE state = 0 AND agent IS NULL", |r| {
                r.try_into()
            });
        if let Some((pack, PALLET_FULL.., _)) = open.first() {
            self.close(vec![PackNo(*pack)]).await;
        }
        let sql = "SELECT pack_no FROM packs WHERE state = 1 AND agent IS NULL ORDER BY pack_no";
        let whole: Vec<u32> = all(conn, sql, |r| r.get(0));
        if whole.len() > 3 {
            let (pack, at) = (PackNo(whole[0]), Wall(1));
            let void = PackRecord::Voided { pack, reason: "shipped".into(), who: "anna".into(), at };
            self.commit(vec![void]).await;
        }
        let sql = "SELECT sscc FROM packs p WHERE state = 1 AND agent IS NOT NULL AND parent IS NULL AND level = 1 \
                   AND gone = 0 ORDER BY random() LIMIT 1";
        let free: Vec<i64> = all(conn, sql, |r| r.get(0));
        let Some(name) = free.first() else { return };
        let name = Sscc::parse(format!("{name:018}").as_bytes()).unwrap();
        let (pack, at) =
            (open.first().filter(|(_, n, _)| *n < PALLET_FULL).map(|(pack, ..)| PackNo(*pack)), Wall(1));
        let children = vec![Packed::pack(name)];
        let into =
            PackRecord::In { station: PALLET, pack, terms: PALLET_TERMS, children, who: "p".into(), at };
        self.commit(vec![into]).await;
    }
}

const PALLET_FULL: u32 = PALLET_TERMS.capacity;

pub fn all<T>(
    conn: &Connection,
    sql: &str,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Vec<T> {
    let mut statement = conn.prepare_cached(sql).unwrap();
    statement.query_map([], read).unwrap().map(Result::unwrap).collect()
}

/// What each agent's database says of its own stream: its number and its last letter.
pub fn streams(parts: &[Part]) -> BTreeMap<AgentId, (i64, i64)> {
    let sql = "SELECT stream, (SELECT ifnull(max(seq), 0) FROM letters) FROM share";
    let of = |part: &Part| (part.id, all(&part.look(), sql, |r| r.try_into())[0]);
    parts.iter().map(of).collect()
}

/// A place for the databases of a plant.
pub fn parts(dir: &Path) -> Vec<Part> {
    let [a, b, c] = [AgentId(0xAAAA_0001), AgentId(0xBBBB_0002), AgentId(0xCCCC_0003)];
    let part = |id: AgentId, from: &[AgentId], packs| Part {
        id,
        dir: dir.join(id.to_string()),
        from: from.to_vec(),
        packs,
    };
    vec![part(a, &[b, c], true), part(b, &[c], true), part(c, &[a, b], false)]
}
