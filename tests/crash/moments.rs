//! When to kill. A moment is something that can be seen from outside, and a little time after it.

use std::time::Duration;

/// Moments in one turn of a plan: all kinds, and starts several times, since a kill in a start costs next to nothing.
pub const TURN: usize = 17;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The process was started.
    Start,
    /// The operator asked to start a run or to resume it: the first labels are printed soon.
    Asked,
    /// So many more labels left the print head.
    Labels(u64),
    /// So many more items passed the gate.
    Passed(u64),
    /// Codes were ordered: the answer is on its way, or the order is being looked at.
    Ordered,
    /// A block was pulled: it is being stored and unpacked.
    Pulled,
    /// A report was sent: its answer may not be here.
    Reported,
    /// The state of a report was asked for: it takes effect in the books soon.
    ReportAsked,
    /// A document of packs was sent.
    Document,
    /// The operator asked to close the run.
    Closed,
    /// So many more scans at the packing table: one is being made durable, named, closed.
    Scans(u64),
    /// So many more labels of packs were printed.
    PackLabels(u64),
    /// SIGTERM, when labels were printed: it stops the line, waits for items, and ends.
    AskedToEnd,
}

impl After {
    pub fn name(self) -> &'static str {
        match self {
            After::Start => "kill after a start",
            After::Asked => "kill after a start or resume of the run",
            After::Labels(_) => "kill after a label",
            After::Passed(_) => "kill after a pass",
            After::Ordered => "kill after an order",
            After::Pulled => "kill after a pull",
            After::Reported => "kill after a report",
            After::ReportAsked => "kill after a look at a report",
            After::Document => "kill after a document of packs",
            After::Closed => "kill after a close",
            After::Scans(_) => "kill after a scan",
            After::PackLabels(_) => "kill after the label of a pack",
            After::AskedToEnd => "kill after SIGTERM",
        }
    }

    /// Within which time it is struck; a start takes `ready_in`, the rest happens within a few commits.
    fn window(self, ready_in: Duration) -> Duration {
        match self {
            After::Start => ready_in * 2,
            After::Asked => Duration::from_millis(250),
            After::Labels(_) | After::Passed(_) | After::Scans(_) | After::PackLabels(_) => {
                Duration::from_millis(20)
            }
            After::Ordered
            | After::Pulled
            | After::Reported
            | After::ReportAsked
            | After::Document
            | After::Closed => Duration::from_millis(60),
            After::AskedToEnd => Duration::from_millis(1_500),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub after: After,
    share: f64,
}

impl Moment {
    pub fn then(&self, ready_in: Duration) -> Duration {
        self.after.window(ready_in).mul_f64(self.share)
    }
}

/// So many moments, the same for the same seed. A plan goes through all of a turn before it repeats one.
pub fn plan(seed: u64, kills: u64) -> Vec<Moment> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut plan = Vec::new();
    while (plan.len() as u64) < kills {
        let mut turn: [After; TURN] = [
            After::Start,
            After::Start,
            After::Start,
            After::Start,
            After::Asked,
            After::Labels(random.u64(1..20)),
            After::Passed(random.u64(1..20)),
            After::Ordered,
            After::Pulled,
            After::Reported,
            After::ReportAsked,
            After::Document,
            After::Closed,
            After::Scans(random.u64(1..20)),
            After::Scans(random.u64(1..20)),
            After::PackLabels(random.u64(1..3)),
            After::AskedToEnd,
        ];
        random.shuffle(&mut turn);
        plan.extend(turn.map(|after| {
            // Short times are the likelier ones: the square of an even choice. A start is struck anywhere.
            let even = random.f64();
            Moment { after, share: if after == After::Start { even } else { even * random.f64() } }
        }));
    }
    plan.truncate(usize::try_from(kills).unwrap());
    plan
}
