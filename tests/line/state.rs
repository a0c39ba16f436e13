//! Each thing that goes wrong on the way to the state system, alone and often: every report takes effect once.

use tamga_simulators::model::plant::Kind;
use tamga_simulators::model::xtrace::fault::{Fault, FaultPlan, Rule};

use tamga_simulators::model::xtrace::route::Endpoint;

use crate::shift::{Shift, work};

/// A small run, and a rule that strikes many of its few requests, and then rests so that the run can end.
fn shift(rule: Rule) -> Shift {
    let mut shift = Shift::of(Kind::PrintAndApply, &format!("{:?}", rule.fault));
    shift.items = 40;
    shift.state = FaultPlan::of([Rule { times: rule.times.or(Some(3)), ..rule }]);
    shift
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_requests_and_answers_end_with_every_report_in_effect_once() {
    let often = |fault| shift(Rule::new(fault, 0.4));
    use Fault as F;
    work([F::DropBefore, F::DropAfter, F::ErrorBefore, F::ErrorAfter, F::TooMany, F::Cut].map(often)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_not_what_they_should_be_end_with_every_report_in_effect_once() {
    let often = |fault| shift(Rule::new(fault, 0.4));
    use Fault as F;
    let shifts = [F::HtmlBefore, F::HtmlAfter, F::Truncated, F::OldAnswer, F::ExtraFields].map(often);
    // An order of unknown standing is asked after once a minute; a report's is the point here.
    let unknown = shift(Rule::next(F::UnknownEnum, Endpoint::Utilisation, 2));
    work(shifts.into_iter().chain([unknown])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_answers_and_bad_packs_end_with_every_report_in_effect_once() {
    use Fault as F;
    let slow = |fault| shift(Rule::new(fault, 0.4).with_ms(100, 4_000));
    let often = |fault| shift(Rule::new(fault, 0.6));
    let shifts = [F::Latency, F::Hidden].map(slow).into_iter();
    // A report refused though its codes are good is tried again after minutes: the step's own tests have that.
    work(shifts.chain([F::MalformedCode, F::CodeTwice].map(often))).await;
}
