//! The life of a code: the one transition table (behaviour, section 2).
//!
//! Nothing outside this file decides whether a code may go from one state to another. The store applies the
//! table by compare-and-set on the state named here as the one before.

/// Where the item of a verified code went.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Whereabouts {
    /// The leave to pass is durable, the gate has not confirmed: *pass unknown*.
    Unknown,
    /// The gate confirmed that the item went through, or a read behind the gate showed it.
    Passed,
    /// The gate confirmed that the item was rejected, or a read in the bin or before the gate showed it.
    Rejected,
}

/// Why a code is spoiled: it will never be on goods.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum SpoilReason {
    /// Issued, never seen, and its run closed over it.
    Unseen,
    /// The mark was bad and a person or the line's rule says that it is scrapped.
    BadMark,
    /// A person declared it scrapped, damaged or taken as a sample.
    Declared,
    /// Pooled when an older copy of the database was restored.
    Restored,
    /// Its life ended before it was issued.
    Expired,
    /// Its item was rejected, and its run closed over it: the item is not on the belt and will not be fed again.
    Rejected,
    /// Its label was lost, or came out of its order, and the line stopped over it.
    Slipped,
}

/// The state of a code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum State {
    /// Received, well formed and not yet issued.
    Pooled,
    /// A pre-printed code of a roll from a printing house: never given to a printer.
    Stock,
    /// Malformed, or given to us twice: never issued.
    SetAside,
    /// Its bytes may have left this computer.
    Issued,
    /// Read on an item that was judged good.
    Verified(Whereabouts),
    /// Its application report was accepted.
    Applied,
    /// Written off by its report after it had been applied.
    WrittenOff,
    /// Never on goods.
    Spoiled(SpoilReason),
    /// Given back: the order was closed or the code's life was over before it was issued.
    Returned,
}

/// What can happen to a code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Happening {
    /// Taken out of the pool for a printer.
    Issue,
    /// Its job was certainly not printed: never rendered, or refused by name.
    JobRefused,
    /// Read on an item and judged good.
    ReadGood,
    /// The gate's word, or a later read, that the item passed.
    ItemPassed,
    /// The gate's word, or a read in the bin or before the gate, that the item was rejected.
    ItemRejected,
    /// Its application report was accepted.
    ReportAccepted,
    /// Its write-off report was accepted.
    WriteOffAccepted,
    /// Spoiled, and why.
    Spoil(SpoilReason),
    /// Its order was closed upstream or its life is over.
    Return,
}

/// A step that the table does not have: asking for it is a bug, or a race that a compare-and-set caught.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a code that is {from:?} cannot {happening:?}")]
pub struct NoSuchStep {
    pub from: State,
    pub happening: Happening,
}

/// The table: the state after `happening`, or the reason why there is none.
///
/// ```
/// use tamga_domain::lifecycle::{Happening, State, Whereabouts, next};
/// assert_eq!(next(State::Pooled, Happening::Issue), Ok(State::Issued));
/// assert!(next(State::Verified(Whereabouts::Passed), Happening::Issue).is_err());
/// ```
pub fn next(from: State, happening: Happening) -> Result<State, NoSuchStep> {
    use Happening as H;
    use State as S;
    use Whereabouts as W;
    match (from, happening) {
        (S::Pooled, H::Issue) => Ok(S::Issued),
        // The one way back into the pool.
        (S::Issued, H::JobRefused) => Ok(S::Pooled),
        (S::Issued | S::Stock, H::ReadGood) => Ok(S::Verified(W::Unknown)),
        // Re-fed after a confirmed reject: a candidate again.
        (S::Verified(W::Rejected), H::ReadGood) => Ok(S::Verified(W::Unknown)),
        (S::Verified(W::Unknown), H::ItemPassed) => Ok(S::Verified(W::Passed)),
        (S::Verified(W::Unknown), H::ItemRejected) => Ok(S::Verified(W::Rejected)),
        (S::Verified(W::Passed), H::ReportAccepted) => Ok(S::Applied),
        (S::Applied, H::WriteOffAccepted) => Ok(S::WrittenOff),
        // Rejected for good is only what the gate, a later read or a person said was rejected.
        (S::Verified(W::Rejected), H::Spoil(r @ SpoilReason::Rejected)) => Ok(S::Spoiled(r)),
        (_, H::Spoil(SpoilReason::Rejected)) => Err(NoSuchStep { from, happening }),
        (S::Issued | S::Verified(_), H::Spoil(r)) => Ok(S::Spoiled(r)),
        (S::Pooled | S::Stock, H::Spoil(r @ (SpoilReason::Restored | SpoilReason::Declared))) => {
            Ok(S::Spoiled(r))
        }
        (S::Pooled | S::Stock, H::Return) => Ok(S::Returned),
        _ => Err(NoSuchStep { from, happening }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [State; 11] = [
        State::Pooled,
        State::Stock,
        State::SetAside,
        State::Issued,
        State::Verified(Whereabouts::Unknown),
        State::Verified(Whereabouts::Passed),
        State::Verified(Whereabouts::Rejected),
        State::Applied,
        State::WrittenOff,
        State::Spoiled(SpoilReason::Unseen),
        State::Returned,
    ];
    const HAPPENINGS: [Happening; 9] = [
        Happening::Issue,
        Happening::JobRefused,
        Happening::ReadGood,
        Happening::ItemPassed,
        Happening::ItemRejected,
        Happening::ReportAccepted,
        Happening::WriteOffAccepted,
        Happening::Spoil(SpoilReason::Declared),
        Happening::Return,
    ];

    /// Every pair, legal (its outcome) or refused (a dash), as one picture: a change of the table changes it.
    #[test]
    fn every_pair_of_state_and_happening_is_decided() {
        let mut seen = String::new();
        for s in STATES {
            for h in HAPPENINGS {
                let cell = match next(s, h) {
                    Ok(State::Pooled) => 'P',
                    Ok(State::Issued) => 'I',
                    Ok(State::Verified(Whereabouts::Unknown)) => 'u',
                    Ok(State::Verified(Whereabouts::Passed)) => 'p',
                    Ok(State::Verified(Whereabouts::Rejected)) => 'r',
                    Ok(State::Applied) => 'A',
                    Ok(State::WrittenOff) => 'W',
                    Ok(State::Spoiled(_)) => 'S',
                    Ok(State::Returned) => 'R',
                    Ok(State::Stock | State::SetAside) => '!',
                    Err(_) => '-',
                };
                seen.push(cell);
            }
            seen.push('\n');
        }
        let table = "\
I------SR
--u----SR
---------
-Pu----S-
---pr--S-
-----A-S-
--u----S-
------W--
---------
---------
---------
";
        assert_eq!(seen, table);
    }

    #[test]
    fn only_a_refused_job_brings_a_code_back_into_the_pool() {
        for s in STATES {
            for h in HAPPENINGS {
                if next(s, h) == Ok(State::Pooled) {
                    assert_eq!((s, h), (State::Issued, Happening::JobRefused));
                }
            }
        }
    }

    #[test]
    fn only_a_code_whose_item_was_rejected_is_rejected_for_good() {
        let happening = Happening::Spoil(SpoilReason::Rejected);
        let may = STATES.into_iter().filter(|s| next(*s, happening).is_ok());
        assert_eq!(may.collect::<Vec<_>>(), [State::Verified(Whereabouts::Rejected)]);
    }

    #[test]
    fn nothing_is_applied_that_did_not_pass() {
        for s in STATES {
            for h in HAPPENINGS {
                if next(s, h) == Ok(State::Applied) {
                    assert_eq!(s, State::Verified(Whereabouts::Passed));
                }
            }
        }
    }
}
