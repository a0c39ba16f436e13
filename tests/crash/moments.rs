//! When to kill. A moment is something that can be seen from outside, and a little time after it.

use std::time::Duration;

/// Kinds of moments; a plan goes through all of them before it repeats one.
pub const KINDS: usize = 9;

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
    /// The operator asked to close the run.
    Closed,
}

#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub after: After,
    pub then: Duration,
}

/// So many moments, the same for the same seed.
pub fn plan(seed: u64, kills: u64) -> Vec<Moment> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut plan = Vec::new();
    while (plan.len() as u64) < kills {
        let mut kinds = [
            After::Start,
            After::Asked,
            After::Labels(random.u64(1..30)),
            After::Passed(random.u64(1..30)),
            After::Ordered,
            After::Pulled,
            After::Reported,
            After::ReportAsked,
            After::Closed,
        ];
        debug_assert_eq!(kinds.len(), KINDS);
        random.shuffle(&mut kinds);
        plan.extend(kinds.map(|after| Moment { after, then: soon(after, &mut random) }));
    }
    plan.truncate(usize::try_from(kills).unwrap());
    plan
}

/// A start takes a few hundred milliseconds in a debug build; the rest happens within a few commits. Short times are
/// the likelier ones: the square of an even choice.
fn soon(after: After, random: &mut fastrand::Rng) -> Duration {
    let at_most_us = match after {
        After::Start => 600_000.0,
        After::Asked => 250_000.0,
        After::Labels(_) | After::Passed(_) => 20_000.0,
        After::Ordered | After::Pulled | After::Reported | After::ReportAsked | After::Closed => 60_000.0,
    };
    let share = random.f64() * random.f64();
    Duration::from_secs_f64(share * at_most_us / 1e6)
}
