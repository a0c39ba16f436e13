//! The agent's computer: it is killed, loses its power, its disk fills up and errs, its clock jumps.

use tamga::chain::chain;
use tamga::store::error::StoreError;
use tamga::witness::LEASE;

use crate::agent::Agent;
use crate::disk::{Copied, Trouble};
use crate::plan::Computer;
use crate::planted::Planted;
use crate::side::Device;
use crate::vfs;
use crate::witness::Beside;
use crate::world::{AGENT, World};

/// Bytes of a page of the database.
const PAGE: usize = 4096;

impl World {
    pub(crate) fn incident(&mut self) {
        self.incident_at = self.ms + self.rng.u64(self.plan.incident_ms..=2 * self.plan.incident_ms);
        let Some(what) = self.plan.incident(&mut self.rng) else { return };
        let ops = self.disk.borrow().ops();
        let soon = self.rng.u64(1..60);
        let trouble = Trouble::default();
        match what {
            Computer::Kill => {
                if let Some(agent) = &mut self.agent {
                    agent.fuse = Some(soon);
                }
            }
            Computer::KillAtMoment => {
                if self.agent.is_some() {
                    self.killed(what);
                }
            }
            Computer::PowerCut => self.trouble(Trouble { cut_at: Some(ops + soon), ..trouble }),
            Computer::PowerCutAtMoment => {
                self.disk.borrow_mut().power_off();
                self.power_is_gone(what);
            }
            Computer::DiskFull => {
                self.struck(what);
                let count = self.rng.u64(5..200);
                self.trouble(Trouble { full: Some((ops + soon, count)), ..trouble });
            }
            Computer::WriteError => {
                self.struck(what);
                self.trouble(Trouble { write_error_at: Some(ops + soon), ..trouble });
            }
            Computer::SyncError => {
                self.struck(what);
                self.trouble(Trouble { sync_error_at: Some(ops + soon), ..trouble });
            }
            Computer::ReadError => {
                let from = self.disk.borrow().reads() + soon;
                let count = self.rng.u64(1..20);
                self.trouble(Trouble { read_errors: Some((from, count)), ..trouble });
            }
            Computer::ReadOnly => {
                self.struck(what);
                self.trouble(Trouble { read_only_from: Some(ops + soon), ..trouble });
            }
            Computer::SlowDisk => {
                self.struck(what);
                self.slow_until = self.ms + self.rng.u64(500..5_000);
            }
            Computer::ClockJump => {
                self.struck(what);
                let year = 365 * 86_400_000;
                self.skew_ms = [-year, -3_600_000, -5_000, 0, 5_000, 3_600_000, year][self.rng.usize(..7)];
            }
            Computer::SecondCopy => self.second_copy(),
            Computer::NoInternet => {
                self.struck(what);
                self.offline_until = self.ms + self.rng.u64(1_000..60_000);
            }
            Computer::OrderlyStop => {
                if let Some(agent) = self.agent.take() {
                    self.struck(what);
                    self.trace.say(|| "the agent is stopped".to_owned());
                    agent.close();
                    self.gone();
                }
            }
            Computer::OldCopy => self.old_copy(),
            Computer::Damage => self.damage(),
        }
        self.trace.mix(what.name().as_bytes());
    }

    /// Somebody copies the data folder, or puts an older copy of it back, while the agent stands. What the copy does not
    /// know is lost to the books; no code may be printed again all the same.
    fn old_copy(&mut self) {
        let Some(agent) = self.agent.take() else { return };
        agent.close();
        self.gone();
        match self.kept.take() {
            None => self.kept = Some(self.disk.borrow().copy()),
            Some(copy) => {
                self.struck(Computer::OldCopy);
                self.put_back(&copy);
            }
        }
    }

    /// What a copy does not know is not asked of the books any more, and the next start must be in doubt.
    fn put_back(&mut self, copy: &Copied) {
        self.disk.borrow_mut().restore(copy, "/witness/");
        // In the place of the old file, or as a file of its own.
        self.inode += self.ms % 2;
        self.damaged = false;
        self.restored = true;
        self.packs.restored();
        self.doubt_due = true;
    }

    /// The agent stands, and pages of its database are damaged. Where nobody has a copy yet, one is made instead.
    fn damage(&mut self) {
        let Some(agent) = self.agent.take() else { return };
        agent.close();
        self.gone();
        if self.kept.is_none() {
            self.kept = Some(self.disk.borrow().copy());
            return;
        }
        self.struck(Computer::Damage);
        let database = self.dir.join("tamga.db");
        self.disk.borrow_mut().damage(&database.to_string_lossy(), PAGE);
        self.damaged = true;
    }

    /// The agent says that its database is damaged, and a person puts the copy back. False: it says something else.
    fn mended(&mut self, error: &StoreError) -> bool {
        let told = self.damaged && (error.is_damage() || matches!(error, StoreError::Rule { .. }));
        if !told {
            return false;
        }
        self.trace.say(|| format!("the agent tells of damage: {}", chain(error)));
        self.agent = None;
        if let Some(copy) = self.kept.clone() {
            self.put_back(&copy);
        }
        true
    }

    fn beside(&self) -> Beside {
        let epoch = format!("{:016x}{:016x}", self.plan.seed, self.starts);
        // As in the product, or so short that a day has many.
        let lease = [LEASE, 100, 20][(self.plan.seed % 3) as usize];
        Beside { inode: self.inode, epoch, lease }
    }

    pub(crate) fn struck(&mut self, what: Computer) {
        self.trace.say(|| format!("incident {}", what.name()));
        *self.strikes.entry(what.name().to_owned()).or_default() += 1;
    }

    pub(crate) fn trouble(&mut self, trouble: Trouble) {
        self.disk.borrow_mut().set_trouble(trouble);
    }

    pub(crate) fn killed(&mut self, how: Computer) {
        self.struck(how);
        self.disk.borrow_mut().freeze();
        self.agent = None;
        self.disk.borrow_mut().thaw();
        self.gone();
    }

    pub(crate) fn power_is_gone(&mut self, how: Computer) {
        self.struck(how);
        self.agent = None;
        self.disk.borrow_mut().power_on();
        vfs::use_disk(&self.disk);
        if self.plan.planted == Some(Planted::OldCopyInPlace) {
            let older = self.older.replace(self.disk.borrow().copy());
            if let Some(older) = older {
                self.disk.borrow_mut().restore(&older, "");
            }
        }
        self.gone();
    }

    /// The store failed. With the power gone nobody is left to say so; otherwise the process ends by itself.
    pub(crate) fn ended(&mut self, error: &StoreError) {
        if self.disk.borrow().is_off() {
            return self.power_is_gone(Computer::PowerCut);
        }
        if self.mended(error) {
            return self.gone();
        }
        let text = chain(error);
        self.trace.say(|| format!("the agent ends: {text}"));
        if matches!(error, StoreError::Rule { .. }) {
            return self.violate("store-rule", text);
        }
        if !self.has_trouble() {
            return self.violate("store-failed", text);
        }
        // The process ends by itself: what its end still does reaches the disk, which may have recovered by then.
        if self.rng.bool() {
            self.disk.borrow_mut().set_trouble(Trouble::default());
        }
        self.agent = None;
        self.checkpoint_at_close();
        // Somebody makes room, or the disk was only cross.
        self.disk.borrow_mut().set_trouble(Trouble::default());
        self.gone();
    }

    /// Planted: what closing a connection does where nobody forbids it.
    fn checkpoint_at_close(&self) {
        if self.plan.planted == Some(Planted::CheckpointAtClose)
            && let Ok(conn) = rusqlite::Connection::open(self.dir.join("tamga.db"))
        {
            // The WAL is opened by the first query.
            drop(conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())));
        }
    }

    pub(crate) fn has_trouble(&self) -> bool {
        let struck = self.disk.borrow().struck;
        struck.full + struck.write_errors + struck.sync_errors + struck.read_only + struck.read_errors > 0
    }

    /// The agent is not there any more: its connections break, and it comes back after a while.
    pub(crate) fn gone(&mut self) {
        for at in 0..self.sides.len() {
            self.sides[at].devices().for_each(|device| self.unplug(at, device));
            self.sides[at].person.agent_gone();
        }
        for at in 0..self.desks.len() {
            [Device::Scanner(at), Device::Labels(at)].into_iter().for_each(|device| self.unplug(0, device));
            self.desks[at].agent_gone();
        }
        self.answering.clear();
        self.writes_at = None;
        self.restart_at = self.ms + self.rng.u64(20..3_000);
    }

    pub(crate) fn start(&mut self) {
        self.starts += 1;
        let (now, wall) = (self.now(), self.wall());
        let beside = self.beside();
        // A database that is made anew is another agent's: what there was before has been copied.
        let id = if self.kept.is_none() { AGENT.to_owned() } else { format!("c{:07x}", self.starts) };
        match Agent::start(&self.parts, &self.dir, &id, (now, wall), &self.disk, &beside) {
            Ok(agent) => {
                self.trace.say(|| "the agent is started".to_owned());
                match agent.settled {
                    Some(doubt) if !self.doubt_due => {
                        self.violate("doubted-for-nothing", format!("{doubt:?}"));
                    }
                    _ => {}
                }
                self.doubt_due = false;
                let mut missing =
                    if self.restored { Ok(Vec::new()) } else { self.ledger.missing(agent.store()) };
                if let Ok(missing) = &mut missing {
                    missing.extend(self.packs.missing(agent.store()).unwrap_or_default());
                }
                self.agent = Some(agent);
                self.look_at = self.ms + 10;
                match missing {
                    Ok(missing) => {
                        missing.into_iter().for_each(|wrong| self.violate("acknowledged-and-lost", wrong));
                    }
                    Err(error) => self.ended(&error),
                }
            }
            Err(error) => {
                if self.disk.borrow().is_off() {
                    self.struck(Computer::PowerCut);
                    self.disk.borrow_mut().power_on();
                    vfs::use_disk(&self.disk);
                } else if self.mended(&error) {
                } else if !self.has_trouble() {
                    self.violate("start-failed", chain(&error));
                } else {
                    self.checkpoint_at_close();
                    self.disk.borrow_mut().set_trouble(Trouble::default());
                }
                self.trace.say(|| format!("the agent does not start: {}", chain(&error)));
                self.restart_at = self.ms + self.rng.u64(20..1_000);
            }
        }
    }

    /// A second agent on the same folder must be refused while the first one lives.
    pub(crate) fn second_copy(&mut self) {
        if self.agent.is_none() {
            return;
        }
        self.struck(Computer::SecondCopy);
        let (now, wall) = (self.now(), self.wall());
        let beside = self.beside();
        match Agent::start(&self.parts, &self.dir, "b0000002", (now, wall), &self.disk, &beside) {
            Err(StoreError::InUse { .. }) => {}
            Err(other) => self.violate("second-copy", chain(&other)),
            Ok(second) => {
                self.disk.borrow_mut().freeze();
                drop(second);
                self.disk.borrow_mut().thaw();
                self.violate("second-copy", "a second agent was started on the same folder".to_owned());
            }
        }
    }
}
