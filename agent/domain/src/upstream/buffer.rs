//! Taking the codes of a ready order, block by block.
//!
//! A block is durable whole before the next is asked for, so at most one block can be missing here, and it is the
//! newest: that one is asked for again with its predecessor. Anything else that upstream handed out and we do not
//! have was taken by somebody else, or this database is older than upstream's memory; such codes may be on items, and
//! the order is held for a person.

use super::config::{BlockFacts, PackFacts};
use super::core::{Core, Subject};
use super::orders::{Around, Order, Phase};
use super::pace::Absence;
use super::request::{BufferStatus, PackSeen, Reply, Request, SubOrder};
use super::unpack::Unpacking;
use crate::ids::BlockNo;
use crate::record::{OrderState, Record};
use crate::time::Time;

/// Upstream allows this many codes in one order line, so no block can have more.
const BLOCK_CODES_MAX: usize = 150_000;

/// The blocks of an order here, and its line as last seen upstream.
pub(super) struct Buffer {
    /// In the order in which upstream handed them out.
    packs: Vec<PackFacts>,
    restored: bool,
    line: Option<SubOrder>,
    /// Until when `line` is believed; a fetch ends it.
    fresh_until: Option<Time>,
    /// The block asked for and not yet durable: `(quantity, last pack)`. A lost answer repeats it unchanged.
    asked: Option<(u32, Option<String>)>,
    /// The block being made durable, and its codes: no code is used before.
    arriving: Option<(PackFacts, Vec<Vec<u8>>)>,
    /// Digest of the codes of the newest block, to see whether a repeat has the same content.
    newest_digest: Option<u64>,
    packs_wanted: bool,
    /// Looks at which the order was used up with fewer codes taken than it has.
    short: Absence,
    /// Looks at which upstream had given no more than is here, in a database of before.
    agreed: Absence,
    /// Sums disagree and no block explains it.
    pub held: bool,
}

impl Buffer {
    pub fn new(packs: Vec<PackFacts>, restored: bool) -> Buffer {
        Buffer {
            packs: chain(packs),
            restored,
            line: None,
            fresh_until: None,
            asked: None,
            arriving: None,
            newest_digest: None,
            packs_wanted: false,
            short: Absence::default(),
            agreed: Absence::default(),
            held: false,
        }
    }

    pub fn received(&self) -> u64 {
        self.packs.iter().map(|p| u64::from(p.count)).sum()
    }

    pub fn seen(&mut self, now: Time, line: SubOrder) {
        self.line = Some(line);
        self.fresh_until = Some(now);
    }

    /// Whether a block of this order is on its way.
    pub fn asking(&self) -> bool {
        self.asked.is_some() || self.arriving.is_some()
    }

    fn newest(&self) -> Option<String> {
        self.packs.last().map(|p| p.pack_id.clone())
    }
}

/// Puts blocks into the order of their predecessors; what hangs in no chain stays at its place at the end.
fn chain(mut rest: Vec<PackFacts>) -> Vec<PackFacts> {
    let mut packs: Vec<PackFacts> = Vec::with_capacity(rest.len());
    loop {
        let last = packs.last().map(|p| &p.pack_id);
        let Some(at) = rest.iter().position(|p| p.previous.as_ref() == last) else { break };
        packs.push(rest.remove(at));
    }
    packs.append(&mut rest);
    packs
}

impl Order {
    /// The next request of a ready order, or `None` when there is nothing to ask or a commit was begun instead.
    pub fn next_of_buffer(&mut self, core: &mut Core, around: Around) -> Option<Request> {
        if around.unpacking {
            return None;
        }
        if let Some((quantity, last_pack)) = self.buffer.asked.clone() {
            return Some(self.block(quantity, last_pack));
        }
        if self.buffer.packs_wanted {
            return Some(Request::Packs { order: self.upstream_id.clone(), gtin: self.plan.gtin });
        }
        let received = self.buffer.received();
        let line = match &self.buffer.line {
            Some(line) if self.buffer.fresh_until.is_some_and(|t| core.now <= t) => line.clone(),
            _ => return Some(self.sub_order()),
        };
        if line.passed != received {
            self.buffer.agreed.forget();
            self.buffer.packs_wanted = true;
            return Some(Request::Packs { order: self.upstream_id.clone(), gtin: self.plan.gtin });
        }
        // What was lost with a restore may have taken a block that an old answer does not count: it would be given again
        // as if it were new, and its codes may be on items.
        if self.buffer.restored && !self.buffer.agreed.look(&core.config, core.now) {
            self.look_later(core, self.buffer.agreed);
            return None;
        }
        // Used up, and yet fewer codes taken than there are: a block of ours may not show yet, and would be forgotten.
        let used_up =
            line.status == BufferStatus::Exhausted || (line.status == BufferStatus::Active && line.left == 0);
        if used_up && line.passed < line.total && !self.buffer.short.look(&core.config, core.now) {
            self.look_later(core, self.buffer.short);
            return None;
        }
        match &line.status {
            BufferStatus::Exhausted => {
                self.becomes(core, OrderState::Exhausted, "", Phase::Exhausted);
                None
            }
            // Nothing of it was annulled: its codes are as good as those of an order that upstream left open.
            BufferStatus::Closed if line.passed >= line.total => {
                self.becomes(core, OrderState::Exhausted, "closed after its last code", Phase::Exhausted);
                None
            }
            BufferStatus::Closed => {
                self.becomes(core, OrderState::Closed, "closed upstream", Phase::Over);
                None
            }
            BufferStatus::Rejected => {
                let reason = line.reason.clone();
                self.refused(core, &reason);
                None
            }
            BufferStatus::Active if line.left == 0 => {
                self.becomes(core, OrderState::Exhausted, "nothing left", Phase::Exhausted);
                None
            }
            BufferStatus::Active if !self.lives(core) => {
                core.tell("alarm.order_life", &self.plan.po_number, &line.left.to_string());
                self.rest(core);
                None
            }
            BufferStatus::Active if around.pull => {
                let quantity = self.quantity(core, line.left);
                let asked = (quantity, self.buffer.newest());
                self.buffer.asked = Some(asked.clone());
                Some(self.block(asked.0, asked.1))
            }
            BufferStatus::Active | BufferStatus::Pending => {
                self.rest(core);
                None
            }
            BufferStatus::Other(word) => {
                core.tell("alarm.order_status", &self.plan.po_number, word);
                self.rest(core);
                None
            }
        }
    }

    /// What was seen of the line does not count yet: it is looked at again after a pause.
    fn look_later(&mut self, core: &mut Core, looks: Absence) {
        self.buffer.fresh_until = None;
        self.not_before = core.now.after(looks.pause(&core.config));
        core.wake_at(self.not_before);
    }

    fn block(&self, quantity: u32, last_pack: Option<String>) -> Request {
        Request::Block { order: self.upstream_id.clone(), gtin: self.plan.gtin, quantity, last_pack }
    }

    fn quantity(&self, core: &Core, left: u64) -> u32 {
        let product = core.config.products.iter().find(|p| p.gtin == self.plan.gtin);
        let wanted = product.map_or(1000, |p| p.codes_per_block).max(1);
        wanted.min(u32::try_from(left).unwrap_or(u32::MAX))
    }

    /// Nothing to do: looked at again when the line's facts are old.
    fn rest(&self, core: &mut Core) {
        if let Some(until) = self.buffer.fresh_until {
            core.wake_at(until);
        }
    }

    pub fn answer_of_buffer(&mut self, core: &mut Core, said: Reply) {
        match said {
            Reply::SubOrder(Some(line)) => {
                self.tries = 0;
                self.line_of_ready(core, line);
            }
            Reply::Packs(packs) => self.packs_seen(core, packs),
            Reply::Block { pack_id, body, codes } => self.block_seen(core, pack_id, body, codes),
            Reply::Refused { reason } => {
                // Asked for again only after a new look at the line: a lost answer before it shows in the sums.
                self.buffer.fresh_until = None;
                if self.buffer.asked.take().is_some() {
                    core.tell("alarm.block_refused", &self.plan.po_number, &reason);
                }
                self.again(core);
            }
            _ => self.again(core),
        }
    }

    fn line_of_ready(&mut self, core: &mut Core, line: SubOrder) {
        if line.passed == self.buffer.received() {
            self.buffer.held = false;
            core.clear("alarm.codes_missing", &self.plan.po_number);
        }
        let until = core.now.after(core.config.idle_every);
        self.buffer.seen(until, line);
    }

    /// The sums disagree: which block is missing?
    fn packs_seen(&mut self, core: &mut Core, seen: Vec<PackSeen>) {
        self.buffer.packs_wanted = false;
        // No document says in which order the list is, and a server's clock may be set back between two blocks: what is
        // the newest by the one or the other may be it, and what it follows decides.
        let mut by_moment = seen.clone();
        if by_moment.iter().all(|p| p.made.is_some()) {
            by_moment.sort_by_key(|p| p.made);
        }
        let known = |p: &PackSeen| self.buffer.packs.iter().any(|k| k.pack_id == p.pack_id);
        let missing = seen.iter().filter(|p| !known(p)).count();
        let whole = seen.len() == self.buffer.packs.len() + missing;
        let follows = |list: &[PackSeen]| match list {
            [.., before, last] if !known(last) => {
                (self.buffer.newest().as_ref() == Some(&before.pack_id)).then_some(last.count)
            }
            [last] if !known(last) => self.buffer.packs.is_empty().then_some(last.count),
            _ => None,
        };
        match (missing, [&seen, &by_moment].iter().find_map(|list| follows(list))) {
            (1, Some(count)) if whole && !self.buffer.restored => {
                self.buffer.asked = Some((count, self.buffer.newest()));
            }
            (0, _) if whole => self.hold(core, "the sum of codes taken differs, no block is missing"),
            (0, _) => self.hold(core, "upstream does not name a block that is here"),
            (1, None) if whole && !self.buffer.restored => {
                self.hold(core, "upstream's order of the blocks is another than ours");
            }
            _ => self.hold(core, "blocks were taken that this database does not have"),
        }
    }

    fn hold(&mut self, core: &mut Core, why: &str) {
        self.buffer.held = true;
        self.buffer.fresh_until = None;
        core.tell("alarm.codes_missing", &self.plan.po_number, why);
        self.tries = self.tries.max(4);
        self.again(core);
    }

    fn block_seen(&mut self, core: &mut Core, pack_id: String, body: Vec<u8>, codes: Vec<Vec<u8>>) {
        let Some((_, previous)) = self.buffer.asked.clone() else {
            return self.again(core);
        };
        let digest = digest(&codes);
        if let Some(known) = self.buffer.packs.iter().find(|p| p.pack_id == pack_id) {
            let same = known.count as usize == codes.len()
                && (Some(&pack_id) != self.buffer.newest().as_ref()
                    || self.buffer.newest_digest.is_none_or(|d| d == digest));
            self.buffer.asked = None;
            self.buffer.fresh_until = None;
            if !same {
                return self.hold(core, "a block came again with another content");
            }
            return self.again(core);
        }
        if codes.is_empty() || codes.len() > BLOCK_CODES_MAX {
            core.tell("alarm.block_refused", &self.plan.po_number, "a block without codes, or with too many");
            return self.again(core);
        }
        core.clear("alarm.block_refused", &self.plan.po_number);
        let count = u32::try_from(codes.len()).unwrap_or(u32::MAX);
        self.buffer.newest_digest = Some(digest);
        let pack = PackFacts { pack_id: pack_id.clone(), previous: previous.clone(), count };
        self.buffer.arriving = Some((pack, codes));
        self.busy = true;
        let record = Record::Block { order: self.no, pack_id, previous, body, count, at: core.wall };
        core.commit(Subject::Order(self.no), vec![record]);
    }

    /// The block that was being made durable is: its codes may be unpacked.
    pub fn block_durable(&mut self, block: BlockNo) -> Option<Unpacking> {
        let (pack, codes) = self.buffer.arriving.take()?;
        self.buffer.packs.push(pack);
        self.buffer.asked = None;
        self.buffer.fresh_until = None;
        self.busy = false;
        self.tries = 0;
        let (gtin, group) = (self.plan.gtin, self.plan.group.clone());
        Some(Unpacking::new(BlockFacts { block, gtin, group, codes, unpacked: 0, as_received: false }))
    }
}

/// FNV-1a over the codes: only to see whether a repeat is the same, never to trust.
fn digest(codes: &[Vec<u8>]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in codes.iter().flat_map(|c| c.iter().chain(&[0])) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash
}
