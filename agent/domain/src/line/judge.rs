//! What is decided on a read whose code was looked up: the table of behaviour, section 4, first match.
//!
//! The rows before the look-up (no tag, no read, several, malformed, another product) are decided where they arise, in
//! `readings.rs`. This is the rest, row by row, as one pure function.

use crate::ids::{IssueNo, PrinterNo, RunId, Tag};
use crate::lifecycle::{State, Whereabouts};
use crate::record::Known;
use crate::verdict::{Death, Reason};

/// What the table needs to know besides the read.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub run: RunId,
    /// The verification tail of the read.
    pub tail: &'a [u8],
    /// The tag that the read belongs to.
    pub tag: Tag,
    /// Codes come from a stock of pre-printed rolls, not from a printer of the line.
    pub pre_printed: bool,
    /// The print grade of the read is below the minimum.
    pub grade_low: bool,
}

/// What the table says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// May become good: of the order, if a printer printed it.
    Candidate {
        printed: Option<(PrinterNo, IssueNo)>,
        refed: bool,
    },
    /// The same code again within this tag.
    NothingNew,
    Bad(Reason),
    /// Verified before on another item; the tag of that item, if it is known.
    Duplicate {
        first: Option<Tag>,
    },
}

/// The table. `known` is what the store said, all earlier commits included.
pub fn judge(known: &Known, ctx: Context<'_>) -> Judgement {
    use Judgement::{Bad, Candidate};
    let facts = match known {
        Known::Unknown => return Bad(Reason::Foreign),
        Known::Waiting { tail, .. } if tail.as_slice() != ctx.tail => return Bad(Reason::Mismatch),
        Known::Waiting { state: State::Stock, .. } if ctx.pre_printed => {
            return if ctx.grade_low {
                Bad(Reason::Grade)
            } else {
                Candidate { printed: None, refed: false }
            };
        }
        Known::Waiting { .. } => return Bad(Reason::NeverIssued),
        Known::Coded(facts) => facts,
    };
    if facts.tail.as_slice() != ctx.tail {
        return Bad(Reason::Mismatch);
    }
    if facts.run != ctx.run {
        return Bad(Reason::OtherRun);
    }
    if facts.state == State::Verified(Whereabouts::Unknown) && facts.tag == Some(ctx.tag) {
        return Judgement::NothingNew;
    }
    let printed = (!ctx.pre_printed).then_some((facts.printer, facts.issue));
    match facts.state {
        State::Issued | State::Verified(Whereabouts::Rejected) if ctx.grade_low => Bad(Reason::Grade),
        State::Issued => Candidate { printed, refed: false },
        State::Verified(Whereabouts::Rejected) => Candidate { printed: None, refed: true },
        State::Verified(Whereabouts::Unknown | Whereabouts::Passed) | State::Applied => {
            Judgement::Duplicate { first: facts.tag }
        }
        State::Spoiled(r) => Bad(Reason::Dead(Death::Spoiled(r))),
        State::Returned => Bad(Reason::Dead(Death::Returned)),
        State::WrittenOff => Bad(Reason::Dead(Death::WrittenOff)),
        State::Pooled | State::Stock | State::SetAside => Bad(Reason::NeverIssued),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::SpoilReason;
    use crate::record::{CodeFacts, JobOutcome};

    const RUN: RunId = RunId(7);
    const TAG: Tag = Tag { boot: 1, number: 50 };
    const EARLIER: Tag = Tag { boot: 1, number: 40 };
    const PRINTED: Option<(PrinterNo, IssueNo)> = Some((PrinterNo(0), IssueNo(9)));

    fn ctx() -> Context<'static> {
        Context { run: RUN, tail: b"abcd", tag: TAG, pre_printed: false, grade_low: false }
    }

    fn coded(state: State, tag: Option<Tag>) -> CodeFacts {
        CodeFacts {
            state,
            tail: b"abcd".to_vec(),
            run: RUN,
            printer: PrinterNo(0),
            issue: IssueNo(9),
            outcome: JobOutcome::Printed,
            tag,
            verified_at: None,
        }
    }

    fn waiting(state: State) -> Known {
        Known::Waiting { state, tail: b"abcd".to_vec() }
    }

    fn check(known: Known, ctx: Context<'_>, expected: Judgement) {
        assert_eq!(judge(&known, ctx), expected, "{known:?} {ctx:?}");
    }

    #[test]
    fn the_table_row_by_row() {
        use Judgement::{Bad, Candidate, Duplicate, NothingNew};
        use State as S;
        use Whereabouts as W;
        let coded_as = |s| Known::Coded(coded(s, None));
        check(Known::Unknown, ctx(), Bad(Reason::Foreign));

        check(
            Known::Coded(CodeFacts { tail: b"abcX".to_vec(), ..coded(S::Issued, None) }),
            ctx(),
            Bad(Reason::Mismatch),
        );
        check(Known::Waiting { state: S::Pooled, tail: b"abcX".to_vec() }, ctx(), Bad(Reason::Mismatch));

        check(waiting(S::Pooled), ctx(), Bad(Reason::NeverIssued));
        check(waiting(S::SetAside), ctx(), Bad(Reason::NeverIssued));
        check(waiting(S::Stock), ctx(), Bad(Reason::NeverIssued));

        let other = CodeFacts { run: RunId(6), ..coded(S::Issued, None) };
        check(Known::Coded(other), ctx(), Bad(Reason::OtherRun));

        check(coded_as(S::Issued), Context { grade_low: true, ..ctx() }, Bad(Reason::Grade));
        check(coded_as(S::Issued), ctx(), Candidate { printed: PRINTED, refed: false });

        let rejected = Known::Coded(coded(S::Verified(W::Rejected), Some(EARLIER)));
        check(rejected.clone(), ctx(), Candidate { printed: None, refed: true });
        check(rejected, Context { grade_low: true, ..ctx() }, Bad(Reason::Grade));

        check(Known::Coded(coded(S::Verified(W::Unknown), Some(TAG))), ctx(), NothingNew);
        for s in [S::Verified(W::Unknown), S::Verified(W::Passed), S::Applied] {
            check(Known::Coded(coded(s, Some(EARLIER))), ctx(), Duplicate { first: Some(EARLIER) });
        }

        let unseen = S::Spoiled(SpoilReason::Unseen);
        check(coded_as(unseen), ctx(), Bad(Reason::Dead(Death::Spoiled(SpoilReason::Unseen))));
        check(coded_as(S::Returned), ctx(), Bad(Reason::Dead(Death::Returned)));
        check(coded_as(S::WrittenOff), ctx(), Bad(Reason::Dead(Death::WrittenOff)));
    }

    #[test]
    fn the_stock_is_good_on_a_pre_printed_line_only() {
        let pre = Context { pre_printed: true, ..ctx() };
        check(waiting(State::Stock), pre, Judgement::Candidate { printed: None, refed: false });
        check(waiting(State::Pooled), pre, Judgement::Bad(Reason::NeverIssued));
    }
}
