//! The witness: a small file outside the data folder that remembers how far the database had come.
//!
//! It holds who the database is (agent, machine, file), the *epoch* (another one at each start), a floor and a lease of
//! the issue sequence, and after a clean end the exact count. A database that does not agree with it was restored or
//! copied, and what lies in its pool may have been printed already.
//!
//! The order of writing, of which the file itself knows nothing (the store keeps it):
//! 1. at a start: the new epoch is here as `next`, then it is committed in the database, then it is here as `epoch`;
//!    a database with either of the two is the one that was here;
//! 2. before a commit that would issue beyond the lease: the floor (issued by earlier commits, which are durable) and a
//!    lease that covers the commit and a thousand codes more. So a commit that is lost leaves nothing behind that looks
//!    like a restore, which a floor of "lease less a thousand" would;
//! 3. after a commit that issued: the count, in a file of its own that is not synced. A crash of the process leaves it
//!    exact, a power cut may leave an older one or none: it only ever proves more;
//! 4. at a clean end: the exact count.
//!
//! Another small file, by the data folder's path, says whose the folder was last.
//!
//! - [`shelf`]: the files. Everything else here is pure.
//!
//! What it cannot see: a whole disk turned back together with the witness, and a clone of a whole machine.

pub mod shelf;

use ring::digest::{SHA256, digest};

/// Codes that may be issued before the witness is written again.
pub const LEASE: u64 = 1000;

/// The first line of the file: what it is, and its version.
const HEAD: &str = "tamga-witness 1";

/// Which file the database is, on this computer. A copy beside the original is another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
    /// The file system's own id, which outlasts a restart where the device's number may change.
    pub fs: u64,
}

impl FileId {
    /// Device numbers change over restarts, ids of file systems may be made from them: either is enough.
    pub fn is_same(self, other: FileId) -> bool {
        self.inode == other.inode && (self.device == other.device || self.fs == other.fs)
    }

    pub fn render(self) -> String {
        format!("{:x}:{:x}:{:x}", self.device, self.inode, self.fs)
    }

    pub fn parse(text: &str) -> Option<FileId> {
        let mut parts = text.split(':').map(|part| u64::from_str_radix(part, 16).ok());
        let id = FileId { device: parts.next()??, inode: parts.next()??, fs: parts.next()?? };
        parts.next().is_none().then_some(id)
    }
}

/// What the witness says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Witness {
    pub agent: String,
    /// The machine's id, hashed; `None` where the machine has none.
    pub machine: Option<String>,
    pub database: FileId,
    /// The epoch that the database had when it was last known; `None` before the first start was finished.
    pub epoch: Option<String>,
    /// The epoch that a start was about to give it.
    pub next: Option<String>,
    /// Codes issued by commits that were durable when this was written.
    pub floor: u64,
    /// No code beyond this count was issued.
    pub lease: u64,
    /// The exact count, after a clean end and until the next start.
    pub ended: Option<u64>,
}

/// The count after the last commit that issued, as far as it is known without waiting for a disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pulse {
    pub epoch: String,
    pub issued: u64,
}

/// Whose a data folder was last. Its database may be gone, and a new one in its place: its disk was not mounted, or
/// somebody removed it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Owner {
    pub agent: String,
}

/// A file as it was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found<T> {
    Missing,
    Damaged,
    Whole(T),
}

fn checked(body: String) -> String {
    let sum = hex(&digest(&SHA256, body.as_bytes()).as_ref()[..8]);
    format!("{body}check {sum}\n")
}

/// The text without its checksum, if that is right.
fn body_of(text: &str) -> Option<&str> {
    let at = text.rfind("check ")?;
    let body = &text[..at];
    (checked(body.to_owned()) == text).then_some(body)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn or_dash(value: Option<&str>) -> &str {
    value.unwrap_or("-")
}

fn unless_dash(value: &str) -> Option<String> {
    (value != "-").then(|| value.to_owned())
}

impl Witness {
    /// The file's text: one name and value a line, then a checksum of all before it.
    pub fn render(&self) -> String {
        let ended = self.ended.map(|n| n.to_string());
        checked(format!(
            "{HEAD}\nagent {}\nmachine {}\ndatabase {}\nepoch {}\nnext {}\nfloor {}\nlease {}\nended {}\n",
            self.agent,
            or_dash(self.machine.as_deref()),
            self.database.render(),
            or_dash(self.epoch.as_deref()),
            or_dash(self.next.as_deref()),
            self.floor,
            self.lease,
            or_dash(ended.as_deref()),
        ))
    }

    /// Reads the text; `None` when one byte of it is not as it was written.
    pub fn parse(bytes: &[u8]) -> Option<Witness> {
        let mut lines = body_of(std::str::from_utf8(bytes).ok()?)?.lines();
        if lines.next()? != HEAD {
            return None;
        }
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let (agent, machine) = (value("agent")?.to_owned(), unless_dash(value("machine")?));
        let database = FileId::parse(value("database")?)?;
        let (epoch, next) = (unless_dash(value("epoch")?), unless_dash(value("next")?));
        let (floor, lease) = (value("floor")?.parse().ok()?, value("lease")?.parse().ok()?);
        let ended = match unless_dash(value("ended")?) {
            Some(count) => Some(count.parse().ok()?),
            None => None,
        };
        Some(Witness { agent, machine, database, epoch, next, floor, lease, ended })
    }
}

impl Pulse {
    pub fn render(&self) -> String {
        checked(format!("epoch {}\nissued {:020}\n", self.epoch, self.issued))
    }

    pub fn parse(bytes: &[u8]) -> Option<Pulse> {
        let mut lines = body_of(std::str::from_utf8(bytes).ok()?)?.lines();
        let epoch = lines.next()?.strip_prefix("epoch ")?.to_owned();
        let issued = lines.next()?.strip_prefix("issued ")?.parse().ok()?;
        Some(Pulse { epoch, issued })
    }
}

impl Owner {
    pub fn render(&self) -> String {
        checked(format!("agent {}\n", self.agent))
    }

    pub fn parse(bytes: &[u8]) -> Option<Owner> {
        let agent = body_of(std::str::from_utf8(bytes).ok()?)?.strip_prefix("agent ")?.trim_end().to_owned();
        Some(Owner { agent })
    }
}

/// What the database says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    pub agent: String,
    pub database: FileId,
    /// `None`: it never had a witness.
    pub epoch: Option<String>,
    /// All codes that it ever issued.
    pub issued: u64,
    /// It says itself that it is a copy: made by `backup`, put in place by `restore`.
    pub copy: bool,
    /// The file in whose place it was put, if it was.
    pub replaced: Option<FileId>,
    /// A person began to settle it, and that was not finished.
    pub settling: bool,
}

/// Why nobody can say that the pool is as it was left.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Doubt {
    /// The database is a backup that was put back.
    Restored,
    /// Settling was begun and not finished.
    Settling,
    /// There is no witness, and there was one.
    NoWitness,
    /// The witness is not as it was written.
    Damaged,
    /// The witness speaks of another agent.
    OtherAgent,
    /// The database is another file than the one that the witness saw: a copy, or moved.
    OtherFile,
    /// The database is of another start than the last one.
    OtherEpoch,
    /// Codes were issued that the database does not know of.
    Behind,
    /// The database issued more than the witness allowed: the witness was turned back.
    WitnessOld,
}

impl Doubt {
    pub const ALL: [Doubt; 9] = [
        Doubt::Restored,
        Doubt::Settling,
        Doubt::NoWitness,
        Doubt::Damaged,
        Doubt::OtherAgent,
        Doubt::OtherFile,
        Doubt::OtherEpoch,
        Doubt::Behind,
        Doubt::WitnessOld,
    ];

    /// The stable key, for catalogues (`doubt.<key>`), JSON and the log.
    pub fn key(self) -> &'static str {
        match self {
            Doubt::Restored => "restored",
            Doubt::Settling => "settling",
            Doubt::NoWitness => "no_witness",
            Doubt::Damaged => "damaged",
            Doubt::OtherAgent => "other_agent",
            Doubt::OtherFile => "other_file",
            Doubt::OtherEpoch => "other_epoch",
            Doubt::Behind => "behind",
            Doubt::WitnessOld => "witness_old",
        }
    }
}

/// Whether the witness proves that nothing was issued that the database does not know of.
pub fn judge(claim: &Claim, witness: &Found<Witness>, pulse: Option<&Pulse>) -> Result<(), Doubt> {
    if claim.copy {
        return Err(Doubt::Restored);
    }
    if claim.settling {
        return Err(Doubt::Settling);
    }
    let witness = match witness {
        Found::Whole(witness) => witness,
        // The first start of a database: nothing was issued that a witness could have seen.
        Found::Missing if claim.epoch.is_none() => return Ok(()),
        Found::Missing => return Err(Doubt::NoWitness),
        Found::Damaged => return Err(Doubt::Damaged),
    };
    if witness.agent != claim.agent {
        return Err(Doubt::OtherAgent);
    }
    if !witness.database.is_same(claim.database) {
        return Err(Doubt::OtherFile);
    }
    let of_last_start = claim.epoch == witness.epoch;
    let of_begun_start = claim.epoch.is_some() && claim.epoch == witness.next;
    if !of_last_start && !of_begun_start {
        return Err(Doubt::OtherEpoch);
    }
    let noted = pulse.filter(|p| Some(&p.epoch) == claim.epoch.as_ref()).map_or(0, |p| p.issued);
    // Between the last end and a start that is not finished nothing was issued: what is said of the one holds of both.
    if claim.issued < witness.floor.max(witness.ended.unwrap_or(0)).max(noted) {
        return Err(Doubt::Behind);
    }
    if claim.issued > witness.ended.unwrap_or(witness.lease) {
        return Err(Doubt::WitnessOld);
    }
    Ok(())
}

/// Whether a database in doubt is proven all the same to know of every code that was issued: the end was clean, the
/// count is the same, and the witness is that of this very folder, not a copy of one.
pub fn proves_nothing_issued_since(claim: &Claim, witness: &Found<Witness>, pulse: Option<&Pulse>) -> bool {
    let Found::Whole(witness) = witness else { return false };
    let here = |id: FileId| witness.database.is_same(id);
    !claim.settling
        && witness.agent == claim.agent
        && (here(claim.database) || claim.replaced.is_some_and(here))
        && claim.epoch.is_some()
        && claim.epoch == witness.epoch
        && witness.next.is_none()
        && witness.ended == Some(claim.issued)
        && pulse.is_none_or(|p| Some(&p.epoch) != claim.epoch.as_ref() || p.issued == claim.issued)
}

/// A folder's name among the files of the witness.
pub fn folder_hash(path: &std::path::Path) -> String {
    hex(&digest(&SHA256, path.as_os_str().as_encoded_bytes()).as_ref()[..8])
}

/// The id of this machine for this program: HMAC-SHA256 of the application's id by the machine's, its first 16 bytes
/// as a version 4 UUID (`sd_id128_get_machine_app_specific`), so that the machine's own id is not given away.
/// `None`: the text is no machine id.
pub fn machine_hash(machine_id: &str) -> Option<String> {
    const APP: [u8; 16] =
        [0x7c, 0x1d, 0x0e, 0x52, 0xa9, 0x3b, 0x4f, 0x66, 0x8d, 0x20, 0x5e, 0x94, 0x31, 0xc7, 0x6a, 0xf3];
    let text = machine_id.trim();
    let byte = |at: usize| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok();
    let id: Vec<u8> = (0..16).map(byte).collect::<Option<_>>()?;
    if text.len() != 32 {
        return None;
    }
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &id);
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&ring::hmac::sign(&key, &APP).as_ref()[..16]);
    uuid[6] = (uuid[6] & 0x0f) | 0x40;
    uuid[8] = (uuid[8] & 0x3f) | 0x80;
    Some(hex(&uuid))
}

#[cfg(test)]
mod tests;
