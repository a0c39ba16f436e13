//! What must be so at the end of a day of lost answers, by what the state system holds. It asks the agent's store only
//! what it says.

use std::collections::{BTreeMap, BTreeSet};

use tamga::books;
use tamga::store::Store;
use tamga::store::verify::verify;
use tamga_domain::code::{Identity, Serial};
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::PassNo;
use tamga_domain::record::{Known, OrderState, PassRange, ReportState};
use tamga_simulators::model::xtrace::codes::CodeStatus;
use tamga_simulators::model::xtrace::truth::{CodeTruth, DocumentTruth, Truth};

/// What became of the reports of the books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reports {
    pub drafted: u64,
    /// In effect, each of its codes by exactly one document of the state system.
    pub once: u64,
    pub twice: u64,
    pub never: u64,
    /// Not settled at the end, or settled otherwise than the state system has it.
    pub person: u64,
    /// Refused, or taken in part: its codes are in later reports, or held.
    pub replaced: u64,
    /// Codes that passed.
    pub codes: u64,
    /// Codes that the state system refuses for good, held and named: annulled by somebody there.
    pub annulled: u64,
    /// The same, refused alone for no reason that it tells.
    pub refused: u64,
    pub orders: u64,
    /// Orders that the state system has twice, since something on the way repeated the request. Where the agent meets
    /// both, a person is told.
    pub orders_doubled: u64,
}

impl Reports {
    pub fn add(&mut self, other: &Reports) {
        self.drafted += other.drafted;
        self.once += other.once;
        self.twice += other.twice;
        self.never += other.never;
        self.person += other.person;
        self.replaced += other.replaced;
        self.codes += other.codes;
        self.annulled += other.annulled;
        self.refused += other.refused;
        self.orders += other.orders;
        self.orders_doubled += other.orders_doubled;
    }
}

type Found = Vec<(&'static str, String)>;

/// Judges a day that is over. `troubles`: what people are told still.
pub(super) fn judge(store: &Store, state: &Truth, troubles: &BTreeSet<&'static str>) -> (Reports, Found) {
    let mut sums = Reports::default();
    let mut found = Found::new();
    let codes: BTreeMap<&str, &CodeTruth> = state.codes.iter().map(|c| (c.code.as_str(), c)).collect();
    let carried = carriers(state);
    let mut held: BTreeMap<Identity, String> = BTreeMap::new();
    let mut settled: BTreeSet<Identity> = BTreeSet::new();
    let view = store.view();
    for run in view.runs(None, 10_000).unwrap_or_default() {
        for one in view.unresolved(run.run).unwrap_or_default() {
            held.insert(one.code, one.why);
        }
    }
    for report in view.reports(None, None, 100_000).unwrap_or_default() {
        sums.drafted += 1;
        let own = books::codes_of_passes(&view, report.run, &report.ranges).unwrap_or_default();
        let own: Vec<Identity> = own.into_iter().map(|(_, code)| code.identity).collect();
        match report.state {
            ReportState::Refused => sums.replaced += 1,
            ReportState::Accepted => {
                let own: Vec<&Identity> = own.iter().filter(|code| !held.contains_key(code)).collect();
                settled.extend(own.iter().map(|code| **code));
                let times = |code: &&Identity| {
                    let name = name(code);
                    let applied = codes.get(name.as_str()).is_some_and(|c| c.status == CodeStatus::Applied);
                    if applied { carried.get(name.as_str()).copied().unwrap_or(0) } else { 0 }
                };
                let (least, most) = own.iter().map(times).fold((1, 1), |(l, m), n| (l.min(n), m.max(n)));
                match (least, most) {
                    (_, 2..) => sums.twice += 1,
                    (0, _) => sums.never += 1,
                    _ => sums.once += 1,
                }
                if (least, most) != (1, 1) {
                    found.push((
                        "report-not-once",
                        format!("report {}: {least} to {most} times", report.report),
                    ));
                }
            }
            open => {
                sums.person += 1;
                found.push(("report-open", format!("report {} is {open:?}", report.report)));
            }
        }
    }
    passed(store, state, (&held, &settled), &mut sums, &mut found);
    orders(store, state, &mut sums, &mut found);
    sent(state, &mut found);
    alarms(troubles, &sums, &mut found);
    match verify(&view) {
        Ok(findings) => found.extend(findings.iter().map(|f| ("balance", format!("{f:?}")))),
        Err(error) => found.push(("balance", error.to_string())),
    }
    (sums, found)
}

/// The water layout's identity.
fn name(code: &Identity) -> String {
    format!("01{}21{}", code.gtin, String::from_utf8_lossy(code.serial.as_bytes()))
}

/// How many documents brought each code into effect.
fn carriers(state: &Truth) -> BTreeMap<&str, u32> {
    let by: BTreeMap<&str, &CodeTruth> = state.codes.iter().map(|c| (c.full.as_str(), c)).collect();
    let mut carried: BTreeMap<&str, u32> = BTreeMap::new();
    for document in &state.documents {
        for code in document.codes.iter().filter_map(|full| by.get(full.as_str())) {
            let whole = document.status == "SUCCESS";
            let part = document.status == "PARTIALLY_PROCESSED"
                && code.applied_by.as_deref() == Some(document.document_id.as_str());
            if whole || part {
                *carried.entry(code.code.as_str()).or_default() += 1;
            }
        }
    }
    carried
}

/// Every code that passed is in effect, or held for a reason that the state system confirms.
fn passed(
    store: &Store,
    state: &Truth,
    (held, settled): (&BTreeMap<Identity, String>, &BTreeSet<Identity>),
    sums: &mut Reports,
    found: &mut Found,
) {
    let by: BTreeMap<&str, &CodeTruth> = state.codes.iter().map(|c| (c.code.as_str(), c)).collect();
    let refused_alone = |code: &CodeTruth| {
        let blameless = |d: &DocumentTruth| {
            d.codes.as_slice() == [code.full.clone()]
                && d.reject_reason.as_deref() == Some("internal-processing-error")
        };
        state.documents.iter().any(blameless)
    };
    let view = store.view();
    for run in view.runs(None, 10_000).unwrap_or_default() {
        let all = PassRange { from: PassNo(1), to: PassNo(run.passed) };
        for (_, code) in books::codes_of_passes(&view, run.run, &[all]).unwrap_or_default() {
            sums.codes += 1;
            let name = name(&code.identity);
            match by.get(name.as_str()) {
                None => found.push(("code-unknown", name)),
                Some(_) if settled.contains(&code.identity) => {}
                Some(truth) => {
                    sums.person += 1;
                    found.push(("code-in-no-report", format!("{name} is {:?}", truth.status)));
                }
            }
        }
    }
    for (code, why) in held {
        sums.codes += 1;
        let name = name(code);
        match by.get(name.as_str()).map(|t| (t.status, refused_alone(t))) {
            Some((CodeStatus::Withdrawn | CodeStatus::WrittenOff, _)) => sums.annulled += 1,
            Some((CodeStatus::Received, true)) => sums.refused += 1,
            status => {
                sums.person += 1;
                found.push(("held-for-nothing", format!("{name} is {status:?}: {why}")));
            }
        }
    }
    for code in state.codes.iter().filter(|c| c.status == CodeStatus::Applied) {
        if !identity(code).is_some_and(|i| matches!(store.find(&i), Ok(Known::Coded(_)))) {
            found.push(("applied-and-unknown", code.code.clone()));
        }
    }
}

fn identity(code: &CodeTruth) -> Option<Identity> {
    let gtin = Gtin::parse(code.gtin.as_bytes()).ok()?;
    let serial = Serial::new(code.code.get(18..)?.as_bytes()).ok()?;
    Some(Identity { gtin, serial })
}

/// No report was sent again that had taken effect.
fn sent(state: &Truth, found: &mut Found) {
    let mut in_effect: BTreeSet<&str> = BTreeSet::new();
    for document in &state.documents {
        let Some(number) = document.own_number.as_deref() else { continue };
        if in_effect.contains(number)
            && !document.echo
            && !state.documents.iter().any(|d| d.echo && d.own_number == document.own_number)
        {
            found.push(("sent-again", number.to_owned()));
        }
        if matches!(document.status.as_str(), "SUCCESS" | "PARTIALLY_PROCESSED") {
            in_effect.insert(number);
        }
    }
}

/// No order is being made or closed.
pub(super) fn orders_are_settled(store: &Store) -> bool {
    let orders = store.view().orders(None, 10_000).unwrap_or_default();
    orders.iter().all(|o| match o.state {
        OrderState::Ready(_) | OrderState::Exhausted | OrderState::Refused | OrderState::Closed => true,
        OrderState::Wanted | OrderState::Sent | OrderState::Unknown => false,
        OrderState::Accepted { .. } | OrderState::Closing => false,
    })
}

/// Each order is there once, and all that was handed out of it is here.
fn orders(store: &Store, state: &Truth, sums: &mut Reports, found: &mut Found) {
    let mut made: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for order in &state.orders {
        let (times, echoes) = made.entry(order.po_number.as_deref().unwrap_or_default()).or_default();
        *(if order.echo { echoes } else { times }) += 1;
    }
    let view = store.view();
    let known = view.orders(None, 10_000).unwrap_or_default();
    sums.orders = known.len() as u64;
    for (number, (times, echoes)) in made {
        if !known.iter().any(|o| o.plan.po_number == number) {
            found.push(("order-unknown-to-the-books", number.to_owned()));
        }
        sums.orders_doubled += u64::from(echoes > 0);
        if times > 1 {
            found.push(("ordered-twice", format!("{number}: {times} times")));
        }
    }
    for order in known {
        let id = order.plan.upstream_id.as_deref().unwrap_or_default();
        let Some(there) = state.orders.iter().find(|o| o.order_id == id) else { continue };
        let passed: u64 = there.lines.iter().map(|l| l.passed).sum();
        let live = matches!(order.state, OrderState::Ready(_) | OrderState::Exhausted);
        if live && passed < u64::from(order.received) {
            found.push((
                "taken-and-not-given",
                format!("{}: {passed} < {}", order.plan.po_number, order.received),
            ));
        }
    }
}

/// What people are still told must be for something that only they can do.
fn alarms(troubles: &BTreeSet<&'static str>, sums: &Reports, found: &mut Found) {
    for key in troubles {
        let fair = match *key {
            "alarm.codes_refused" => sums.annulled + sums.refused > 0,
            "alarm.order_twice" => sums.orders_doubled > 0,
            // An order that is being made, looked at or waited for is no person's business.
            "alarm.order_refused" | "alarm.order_status" | "alarm.upstream_away" => true,
            _ => false,
        };
        if !fair {
            found.push(("person-needed", (*key).to_owned()));
        }
    }
}
