//! The belt: items at a pitch, carried past the head, the reader and the gate.
//!
//! Knows positions only. Position is travel of the belt in nanometres, as an encoder would count it: an item stands
//! at a station when the travel since it stood at the head equals the station's distance.

use std::collections::VecDeque;

#[derive(Debug, Clone)]
pub struct BeltConfig {
    pub items_per_min: u32,
    pub pitch_mm: u32,
    /// How far one gap may differ from the pitch, at most 20.
    pub jitter_percent: u32,
    /// Distances in pitches.
    pub items_head_to_reader: u32,
    pub items_reader_to_gate: u32,
    /// How many items come; `None` for no end.
    pub total_items: Option<u64>,
}

impl Default for BeltConfig {
    fn default() -> Self {
        Self {
            items_per_min: 300,
            pitch_mm: 100,
            jitter_percent: 10,
            items_head_to_reader: 3,
            items_reader_to_gate: 4,
            total_items: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Station {
    /// Print head or applicator.
    Head,
    Reader,
    Gate,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    pub item_no: u64,
    /// The item that it touches from behind.
    pub follows: Option<u64>,
    at_head_nm: u64,
    next: Station,
}

/// The next thing that happens as the belt moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    pub at_nm: u64,
    pub station: Station,
    /// `None` for the item that is yet to come to the head.
    pub item_no: Option<u64>,
}

#[derive(Debug)]
pub struct Belt {
    pub config: BeltConfig,
    travel_nm: u64,
    speed_remainder: u64,
    carried: VecDeque<Carried>,
    next_item_nm: u64,
    next_follows: bool,
    items_come: u64,
    rng: fastrand::Rng,
}

impl Belt {
    pub fn new(config: BeltConfig, seed: u64) -> Self {
        let pitch_nm = u64::from(config.pitch_mm) * 1_000_000;
        Self {
            config,
            travel_nm: 0,
            speed_remainder: 0,
            carried: VecDeque::new(),
            next_item_nm: pitch_nm,
            next_follows: false,
            items_come: 0,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    pub fn travel_nm(&self) -> u64 {
        self.travel_nm
    }

    pub fn pitch_nm(&self) -> u64 {
        u64::from(self.config.pitch_mm) * 1_000_000
    }

    /// How far an item may be from where the gate expects it.
    pub fn window_nm(&self) -> u64 {
        self.pitch_nm() / 10
    }

    pub fn reader_to_gate_nm(&self) -> u64 {
        u64::from(self.config.items_reader_to_gate) * self.pitch_nm()
    }

    fn head_to_reader_nm(&self) -> u64 {
        u64::from(self.config.items_head_to_reader) * self.pitch_nm()
    }

    pub fn carried(&self) -> impl Iterator<Item = &Carried> {
        self.carried.iter()
    }

    /// Items that came by themselves (not put on by hand).
    pub fn items_come(&self) -> u64 {
        self.items_come
    }

    /// All items that were to come by themselves have come.
    pub fn is_dry(&self) -> bool {
        self.config.total_items.is_some_and(|total| self.items_come >= total)
    }

    /// Another item is to come after the next one.
    pub fn more_after_next(&self) -> bool {
        self.config.total_items.is_none_or(|total| self.items_come + 1 < total)
    }

    /// The next arrival; `supply` says that more items wait at the infeed.
    pub fn next_arrival(&self, supply: bool) -> Option<Arrival> {
        let newcomer = (supply && !self.is_dry()).then(|| Arrival {
            at_nm: self.next_item_nm.max(self.travel_nm),
            station: Station::Head,
            item_no: None,
        });
        let carried = self.carried.iter().map(|c| Arrival {
            at_nm: self.station_nm(c),
            station: c.next,
            item_no: Some(c.item_no),
        });
        carried.chain(newcomer).min_by_key(|a| (a.at_nm, std::cmp::Reverse(a.station)))
    }

    fn station_nm(&self, carried: &Carried) -> u64 {
        let distance = match carried.next {
            Station::Head => 0,
            Station::Reader => self.head_to_reader_nm(),
            Station::Gate => self.head_to_reader_nm() + self.reader_to_gate_nm(),
        };
        (carried.at_head_nm + distance).max(self.travel_nm)
    }

    fn speed_nm_per_s(&self) -> u64 {
        (u64::from(self.config.items_per_min) * self.pitch_nm() / 60).max(1)
    }

    /// Time until the belt has gone to `at_nm`, rounded up.
    pub fn time_to_ns(&self, at_nm: u64) -> u64 {
        let way = u128::from(at_nm.saturating_sub(self.travel_nm));
        let time = (way * 1_000_000_000).div_ceil(u128::from(self.speed_nm_per_s()));
        u64::try_from(time).unwrap_or(u64::MAX)
    }

    /// Moves for a time, but not beyond `limit_nm`.
    pub fn run(&mut self, time_ns: u64, limit_nm: u64) {
        let way = u128::from(self.speed_nm_per_s()) * u128::from(time_ns) + u128::from(self.speed_remainder);
        self.speed_remainder = (way % 1_000_000_000) as u64;
        let way_nm = u64::try_from(way / 1_000_000_000).unwrap_or(u64::MAX);
        self.travel_nm = self.travel_nm.saturating_add(way_nm).min(limit_nm.max(self.travel_nm));
    }

    /// The item that stands at the head goes on as `item_no`; `touched` puts the next one right behind it.
    pub fn come(&mut self, item_no: u64, touched: bool) {
        let newest = self.carried.back().map(|c| c.item_no);
        let follows = newest.filter(|_| self.next_follows);
        self.next_follows = touched;
        self.items_come += 1;
        self.carried.push_back(Carried {
            item_no,
            follows,
            at_head_nm: self.travel_nm,
            next: Station::Reader,
        });
        let pitch = self.pitch_nm();
        let jitter = pitch / 100 * u64::from(self.config.jitter_percent.min(20));
        let gap = if touched { pitch * 3 / 10 } else { pitch - jitter + self.rng.u64(0..=2 * jitter) };
        self.next_item_nm = self.travel_nm + gap;
    }

    /// Puts an item on by hand behind the head, `gap_percent` of a pitch after the newest one.
    pub fn put_on(&mut self, item_no: u64, gap_percent: u64) {
        let newest_nm = self.carried.iter().map(|c| c.at_head_nm).max().unwrap_or(0);
        let at_head_nm = (newest_nm + self.pitch_nm() * gap_percent / 100).max(self.travel_nm);
        self.carried.push_back(Carried { item_no, follows: None, at_head_nm, next: Station::Reader });
    }

    /// Whether the next item is to touch the newest one.
    pub fn next_follows(&self) -> bool {
        self.next_follows
    }

    /// The item that touches `item_no` from behind.
    pub fn follower(&self, item_no: u64) -> Option<u64> {
        self.carried.iter().find(|c| c.follows == Some(item_no)).map(|c| c.item_no)
    }

    pub fn get(&self, item_no: u64) -> Option<&Carried> {
        self.carried.iter().find(|c| c.item_no == item_no)
    }

    /// The item has been at the reader.
    pub fn past_reader(&mut self, item_no: u64) {
        if let Some(carried) = self.carried.iter_mut().find(|c| c.item_no == item_no) {
            carried.next = Station::Gate;
        }
    }

    pub fn remove(&mut self, item_no: u64) {
        self.carried.retain(|c| c.item_no != item_no);
    }

    /// Pushes an item against the running direction by a share of the pitch.
    pub fn hold_back(&mut self, item_no: u64, percent: u64) {
        let way = self.pitch_nm() * percent / 100;
        if let Some(carried) = self.carried.iter_mut().find(|c| c.item_no == item_no) {
            carried.at_head_nm += way;
        }
    }
}
