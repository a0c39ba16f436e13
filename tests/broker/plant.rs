//! Three agents, a broker, and what goes wrong between them; then every book is compared with every other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use tamga_domain::ids::AgentId;
use tokio::time::timeout;

use super::agent::{Part, Planted, Running, all, parts, streams};
use super::cable::{Cable, Mood};
use super::mosquitto::Mosquitto;
use crate::tally::Tally;
use crate::world::{free_port, until};

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Letters of all agents together, at least.
    pub messages: u64,
    pub faults: u64,
    pub seed: u64,
    pub planted: Option<Planted>,
}

/// How long the last letters may take when nothing goes wrong any more.
const SETTLES: Duration = Duration::from_secs(120);
/// After a fault something must come through to everybody within this; where a fault is planted, nothing may come at all.
const GOES_ON: Duration = Duration::from_secs(60);
const GOES_ON_PLANTED: Duration = Duration::from_secs(20);

/// What goes wrong.
const FAULTS: [&str; 8] = [
    "broker killed, started with nothing",
    "broker halted, then going on",
    "broker halted, killed, started with nothing",
    "half-open link of one agent, then broken",
    "half-open links of all agents, broker killed meanwhile",
    "link of one agent broken",
    "agent killed",
    "agent killed while the broker is away",
];

struct Plant {
    parts: Vec<Part>,
    running: BTreeMap<AgentId, Running>,
    cables: BTreeMap<AgentId, Cable>,
    broker: Mosquitto,
    args: Vec<String>,
    rng: fastrand::Rng,
    patience: Duration,
}

/// Runs one plant until it has said enough and met enough, and compares. `args` make this program one of its agents.
pub async fn play(wanted: Wanted, dir: &Path, args: &[&str], tally: &Tally) {
    let parts = parts(dir);
    for part in &parts {
        std::fs::create_dir_all(&part.dir).unwrap();
        part.lay(wanted.planted);
    }
    let address = free_port();
    let mut broker = Mosquitto::new(dir, address).unwrap_or_else(|why| panic!("{why}"));
    broker.start().await;
    let mut cables = BTreeMap::new();
    for part in &parts {
        cables.insert(part.id, Cable::lay(free_port(), address).await);
    }
    let mut plant = Plant {
        parts,
        running: BTreeMap::new(),
        cables,
        broker,
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        rng: fastrand::Rng::with_seed(wanted.seed),
        patience: if wanted.planted.is_some() { GOES_ON_PLANTED } else { GOES_ON },
    };
    for part in plant.parts.clone() {
        plant.start(&part);
    }
    for struck in 0..wanted.faults {
        // What is written meanwhile is on its way when the fault strikes, or waits for its end.
        plant.until_said(wanted.messages * struck / wanted.faults).await;
        plant.allow(wanted.messages * (struck + 1) / wanted.faults);
        let kind = match struck {
            // Each kind once, then whatever comes.
            0..8 => struck as usize,
            _ => plant.rng.usize(..FAULTS.len()),
        };
        plant.strike(kind).await;
        tally.struck(FAULTS[kind]);
        if !plant.goes_on().await {
            let patience = plant.patience;
            tally.violation(format!("nothing comes through {patience:?} after: {}", FAULTS[kind]));
            return;
        }
    }
    plant.until_said(wanted.messages).await;
    plant.settle(tally).await;
    plant.running.clear();
    judge(&plant.parts, tally);
}

impl Plant {
    fn start(&mut self, part: &Part) {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        self.running.insert(part.id, part.start(self.cables[&part.id].address, &args));
    }

    /// So many letters of all together.
    fn allow(&self, letters: u64) {
        let each = letters / self.parts.len() as u64 + 1;
        self.parts.iter().for_each(|part| part.allow(each));
    }

    async fn until_said(&self, letters: u64) {
        until("letters to be written", Duration::from_secs(3_600), async || {
            let said: i64 = streams(&self.parts).values().map(|(_, head)| head).sum();
            (u64::try_from(said).unwrap_or(0) >= letters).then_some(())
        })
        .await;
    }

    fn any(&mut self) -> Part {
        let place = self.rng.usize(..self.parts.len());
        self.parts[place].clone()
    }

    /// How long a fault lasts: often shorter than any wait of the agents, at times longer than all.
    async fn lasts(&mut self) {
        let most = if self.rng.u8(..6) == 0 { 13_000 } else { 1_500 };
        let ms = self.rng.u64(20..most);
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    async fn strike(&mut self, kind: usize) {
        match kind {
            0 => {
                self.broker.kill();
                self.lasts().await;
                self.broker.start().await;
            }
            1 => {
                self.broker.halt();
                self.lasts().await;
                self.broker.go_on();
            }
            2 => {
                self.broker.halt();
                self.lasts().await;
                self.broker.kill();
                self.broker.start().await;
            }
            3 => {
                let id = self.any().id;
                self.cables[&id].set(Mood::Swallows);
                self.lasts().await;
                self.cables[&id].set(Mood::Broken);
                self.cables[&id].set(Mood::Carries);
            }
            4 => {
                self.cables.values().for_each(|cable| cable.set(Mood::Swallows));
                self.lasts().await;
                self.broker.kill();
                self.broker.start().await;
                self.cables.values().for_each(|cable| cable.set(Mood::Broken));
                tokio::task::yield_now().await;
                self.cables.values().for_each(|cable| cable.set(Mood::Carries));
            }
            5 => {
                let id = self.any().id;
                self.cables[&id].set(Mood::Broken);
                self.lasts().await;
                self.cables[&id].set(Mood::Carries);
            }
            6 => {
                let part = self.any();
                self.running.remove(&part.id).expect("all run").kill();
                self.lasts().await;
                self.start(&part);
            }
            _ => {
                self.broker.kill();
                let part = self.any();
                self.running.remove(&part.id).expect("all run").kill();
                self.lasts().await;
                self.start(&part);
                self.broker.start().await;
            }
        }
    }

    /// Whether everybody learns of something new, or knows all.
    async fn goes_on(&self) -> bool {
        let before = marks(&self.parts);
        let moved = until("news", self.patience * 10, async || {
            let (now, heads) = (marks(&self.parts), streams(&self.parts));
            let moved = |(way, mark): (&(AgentId, AgentId), &i64)| {
                mark > before.get(way).unwrap_or(&-1) || *mark >= heads[&way.1].1
            };
            now.iter().all(moved).then_some(())
        });
        timeout(self.patience, moved).await.is_ok()
    }

    async fn settle(&self, tally: &Tally) {
        let whole = until("the last letters", SETTLES * 10, async || {
            let (marks, heads) = (marks(&self.parts), streams(&self.parts));
            marks.iter().all(|(way, mark)| *mark == heads[&way.1].1).then_some(())
        });
        if timeout(SETTLES, whole).await.is_err() {
            tally.violation(format!("not all is known {SETTLES:?} after the last fault"));
        }
    }
}

/// How far each hearer (first) has the stream of each whom it hears.
fn marks(parts: &[Part]) -> BTreeMap<(AgentId, AgentId), i64> {
    let mut marks = BTreeMap::new();
    for part in parts {
        let found: Vec<(u32, i64)> = all(&part.look(), "SELECT agent, mark FROM heard", |r| r.try_into());
        let found: BTreeMap<AgentId, i64> =
            found.into_iter().map(|(agent, mark)| (AgentId(agent), mark)).collect();
        for from in &part.from {
            marks.insert((part.id, *from), found.get(from).copied().unwrap_or(0));
        }
    }
    marks
}

/// Every book against every other: nothing lost, nothing taken twice, everything in its order, and each pack at the hearer
/// what it is at home.
fn judge(parts: &[Part], tally: &Tally) {
    let streams = streams(parts);
    let by_id: BTreeMap<AgentId, &Part> = parts.iter().map(|part| (part.id, part)).collect();
    for hearer in parts {
        for from in &hearer.from {
            let (stream, head) = streams[from];
            let way = format!("{} of {from}", hearer.id);
            marks_follow(hearer, *from, stream, head, &way, tally);
            packs_agree(hearer, by_id[from], &way, tally);
            claims_agree(hearer, by_id[from], &way, tally);
            tally.compared("letters heard", u64::try_from(head).unwrap_or(0));
        }
        let conn = hearer.look();
        let unsound =
            all(&conn, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'", |r| {
                r.get::<_, i64>(0)
            });
        if unsound != [0] {
            tally.violation(format!("the database of {} is damaged", hearer.id));
        }
        let reader = tamga::store::read::Reader::open(&hearer.dir).unwrap();
        for finding in tamga::store::verify::verify(&reader.view().unwrap()).unwrap() {
            tally.violation(format!("{}: {finding:?}", hearer.id));
        }
    }
    let written: i64 = streams.values().map(|(_, head)| head).sum();
    tally.compared("letters written", u64::try_from(written).unwrap_or(0));
}

/// The book that the database itself kept: from the first letter to the last, without a step back and without a leap.
fn marks_follow(hearer: &Part, from: AgentId, stream: i64, head: i64, way: &str, tally: &Tally) {
    let conn = hearer.look();
    let sql = format!("SELECT stream, before, after FROM book_of_marks WHERE agent = {} ORDER BY id", from.0);
    let steps: Vec<(i64, i64, i64)> = all(&conn, &sql, |r| r.try_into());
    let mut at = 0;
    for (of, before, after) in &steps {
        if *of != stream || *before != at || after < before {
            tally.violation(format!("{way}: at {at} a step from {before} to {after} of stream {of}"));
        }
        at = *after;
    }
    if at != head {
        tally.violation(format!("{way}: {at} of {head} letters"));
    }
    let sql = format!(
        "SELECT count(*) FROM (SELECT 1 FROM book_of_packs WHERE agent = {} GROUP BY sscc, stream, rev HAVING count(*) > 1)",
        from.0
    );
    let twice: i64 = all(&conn, &sql, |r| r.get(0))[0];
    if twice != 0 {
        tally.violation(format!("{way}: {twice} changes taken twice"));
    }
    let sql = format!(
        "SELECT count(*) FROM book_of_packs b JOIN book_of_packs l ON l.sscc = b.sscc AND l.id > b.id AND l.rev < b.rev \
         WHERE b.agent = {} AND b.sscc IN (SELECT sscc FROM book_of_packs ORDER BY id DESC LIMIT 2000)",
        from.0
    );
    let back: i64 = all(&conn, &sql, |r| r.get(0))[0];
    if back != 0 {
        tally.violation(format!("{way}: {back} packs turned back to what they were"));
    }
}

/// Every pack of an agent is at the hearer what it is at home, with the same content; no other is said to be its.
fn packs_agree(hearer: &Part, home: &Part, way: &str, tally: &Tally) {
    let own =
        "SELECT sscc, state, content FROM packs WHERE agent IS NULL AND sscc IS NOT NULL AND state <> 0";
    let there = format!("SELECT sscc, iif(gone, 2, state), content FROM packs WHERE agent = {}", home.id.0);
    let at_home: Vec<(i64, i64, i64)> = all(&home.look(), own, |r| r.try_into());
    let known: Vec<(i64, i64, i64)> = all(&hearer.look(), &there, |r| r.try_into());
    let known: BTreeMap<i64, (i64, i64)> =
        known.into_iter().map(|(name, state, n)| (name, (state, n))).collect();
    let names: BTreeSet<i64> = at_home.iter().map(|(name, ..)| *name).collect();
    for (name, state, content) in &at_home {
        let fits = match known.get(name) {
            // What was void when the hearer first could learn of it is nothing to it.
            None => *state == 2,
            Some((2, _)) => *state == 2,
            Some(known) => *known == (*state, *content),
        };
        if !fits {
            tally.violation(format!(
                "{way}: pack {name} is {state} with {content}, known as {:?}",
                known.get(name)
            ));
        }
    }
    if let Some(stranger) = known.keys().find(|name| !names.contains(name)) {
        tally.violation(format!("{way}: a pack {stranger} that nobody has closed"));
    }
    let items = "SELECT p.sscc, g.gtin || c.serial FROM packs p JOIN codes c USING(pack_no) JOIN gtins g ON g.gtin_id = c.gtin_id \
                 WHERE p.state = 1 AND p.agent IS NULL ORDER BY 1, 2";
    let told = format!(
        "SELECT p.sscc, g.gtin || f.serial FROM packs p JOIN foreign_content f USING(pack_no) \
         JOIN gtins g ON g.gtin_id = f.gtin_id WHERE p.state = 1 AND p.gone = 0 AND p.agent = {} ORDER BY 1, 2",
        home.id.0
    );
    let inside: Vec<(i64, String)> = all(&home.look(), items, text_pair);
    let heard: Vec<(i64, String)> = all(&hearer.look(), &told, text_pair);
    tally.compared("packs, state and content", at_home.len() as u64);
    if inside != heard {
        tally.violation(format!(
            "{way}: what lies in packs differs: {} items, {} known",
            inside.len(),
            heard.len()
        ));
    }
}

fn text_pair(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, String)> {
    let text = row.get_ref(1)?;
    let bytes = text.as_bytes().or_else(|_| text.as_blob()).unwrap_or_default();
    Ok((row.get(0)?, String::from_utf8_lossy(bytes).into_owned()))
}

/// What lies in packs of one agent is claimed at the hearer, and nothing else is.
fn claims_agree(hearer: &Part, from: &Part, way: &str, tally: &Tally) {
    let lies = "SELECT sscc FROM packs WHERE parent IS NOT NULL AND sscc IS NOT NULL ORDER BY 1";
    let claimed = format!("SELECT sscc FROM claims WHERE agent = {} AND lies = 1 ORDER BY 1", from.id.0);
    let lying: Vec<i64> = all(&from.look(), lies, |r| r.get(0));
    let claimed: Vec<i64> = all(&hearer.look(), &claimed, |r| r.get(0));
    tally.compared("packs that lie at another agent", lying.len() as u64);
    if lying != claimed {
        tally.violation(format!("{way}: {} packs lie there, {} are said to", lying.len(), claimed.len()));
    }
}
