//! Faults in law data, all of them at once, each with its place.

use std::collections::BTreeSet;

use thiserror::Error;
use time::Date;

use super::{Country, ProductGroup, RuleSet, RuleVersion, Rules};
use crate::layout::LayoutError;

/// A fault and where it stands; `from` names the version, `None` the whole set.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("rules {country}/{product_group}{}: {fault}", .from.map(|day| format!(" from {day}")).unwrap_or_default())]
pub struct RuleProblem {
    pub country: Country,
    pub product_group: ProductGroup,
    pub from: Option<Date>,
    pub fault: RuleFault,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RuleFault {
    #[error("this product group is described twice; join both descriptions")]
    Twice,
    #[error("there is no version; give at least one with its first day")]
    NoVersion,
    #[error("the title is empty; people see it")]
    NoTitle,
    #[error("it ends on {until}, which is not after its first day")]
    Backwards { until: Date },
    #[error(
        "it holds together with the version from {other}; end the earlier one on the later one's first day"
    )]
    Overlap { other: Date },
    #[error("the source is empty; name the law or document{}", .form.map(|form| format!(" of form {}", form + 1)).unwrap_or_default())]
    NoSource { form: Option<usize> },
    #[error("form {} names no kind of package: unit, group or set", form + 1)]
    NoKind { form: usize },
    #[error("the forms cannot stand together: {}", reason(.0))]
    Layout(LayoutError),
    #[error("the module sizes {um_min} to {um_max} micrometres are upside down or zero")]
    ModuleSize { um_min: u32, um_max: u32 },
    #[error("a report may hold no code; set the upper limit to 1 or more")]
    NoCodesPerReport,
    #[error("a life of 0 days lets no code be used; leave it out if no limit is known")]
    NoLife,
}

/// A layout's fault in one line, with what is wrong in its form: there is no chain to print here.
fn reason(error: &LayoutError) -> String {
    match error {
        LayoutError::Form { source, .. } => format!("{error}: {source}"),
        LayoutError::FormCount { .. } | LayoutError::SameLength { .. } | LayoutError::SameValues { .. } => {
            error.to_string()
        }
    }
}

pub(super) fn check(rules: &Rules) -> Vec<RuleProblem> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for set in &rules.sets {
        let mut found = Vec::new();
        if !seen.insert((set.country, set.product_group.clone())) {
            found.push((None, RuleFault::Twice));
        }
        check_set(set, &mut found);
        problems.extend(found.into_iter().map(|(from, fault)| RuleProblem {
            country: set.country,
            product_group: set.product_group.clone(),
            from,
            fault,
        }));
    }
    problems
}

type Found = Vec<(Option<Date>, RuleFault)>;

fn check_set(set: &RuleSet, found: &mut Found) {
    if set.title.trim().is_empty() {
        found.push((None, RuleFault::NoTitle));
    }
    if set.valid.is_empty() {
        found.push((None, RuleFault::NoVersion));
    }
    for (index, version) in set.valid.iter().enumerate() {
        let mut faults = Vec::new();
        check_version(version, &mut faults);
        for other in &set.valid[..index] {
            if overlap(version, other) {
                faults.push(RuleFault::Overlap { other: other.from });
            }
        }
        found.extend(faults.into_iter().map(|fault| (Some(version.from), fault)));
    }
}

fn overlap(a: &RuleVersion, b: &RuleVersion) -> bool {
    let ends_after = |version: &RuleVersion, day| version.until.is_none_or(|until| day < until);
    ends_after(a, b.from) && ends_after(b, a.from)
}

fn check_version(version: &RuleVersion, faults: &mut Vec<RuleFault>) {
    if let Some(until) = version.until.filter(|until| *until <= version.from) {
        faults.push(RuleFault::Backwards { until });
    }
    if version.source.trim().is_empty() {
        faults.push(RuleFault::NoSource { form: None });
    }
    for (form, entry) in version.forms.iter().enumerate() {
        if entry.source.trim().is_empty() {
            faults.push(RuleFault::NoSource { form: Some(form) });
        }
        if entry.kinds.is_empty() {
            faults.push(RuleFault::NoKind { form });
        }
    }
    // All forms together: a mark of any kind of package may come before a reader. That the forms of
    // one kind are then distinct as well follows.
    if let Err(error) = version.layout() {
        faults.push(RuleFault::Layout(error));
    }
    if let Some(size) = version.module_size.filter(|size| size.um_min == 0 || size.um_min > size.um_max) {
        faults.push(RuleFault::ModuleSize { um_min: size.um_min, um_max: size.um_max });
    }
    if version.codes_per_report_max == 0 {
        faults.push(RuleFault::NoCodesPerReport);
    }
    if version.code_life_days == Some(0) {
        faults.push(RuleFault::NoLife);
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;
    use crate::layout::Form;
    use crate::rules::{Grade, ModuleSize, Need, PackageKind, ReportRequires, RuleForm, Sure};

    fn version(from: Date, until: Option<Date>) -> RuleVersion {
        let form = |serial_len, sure| RuleForm {
            form: Form::gs1(serial_len, &[("93", 4)]),
            kinds: vec![PackageKind::Unit, PackageKind::Group],
            source: "Decree 833 of 31.12.2020".to_owned(),
            sure,
        };
        RuleVersion {
            from,
            until,
            source: "Resolution 737 of 20.11.2020".to_owned(),
            sure: Sure::Confirmed,
            forms: vec![form(7, Sure::Confirmed), form(13, Sure::Guess)],
            module_size: Some(ModuleSize { um_min: 255, um_max: 680 }),
            grade_min: Some(Grade::C),
            codes_per_report_max: 30_000,
            report_requires: ReportRequires {
                production_date: Need::Required,
                expiry_date: Need::Required,
                batch: Need::Optional,
            },
            printed_report_allowed: false,
            code_life_days: Some(90),
        }
    }

    fn beer(valid: Vec<RuleVersion>) -> RuleSet {
        RuleSet {
            country: Country::parse("uz").unwrap(),
            product_group: ProductGroup::parse("beer").unwrap(),
            title: "Beer".to_owned(),
            valid,
        }
    }

    fn faults_of(valid: Vec<RuleVersion>) -> Vec<RuleFault> {
        let rules = Rules { sets: vec![beer(valid)] };
        rules.check().into_iter().map(|problem| problem.fault).collect()
    }

    #[test]
    fn the_version_of_the_day_is_found() {
        let first = version(date!(2021 - 04 - 01), Some(date!(2024 - 03 - 01)));
        let second = version(date!(2024 - 03 - 01), None);
        let rules = Rules { sets: vec![beer(vec![first, second])] };
        assert_eq!(rules.check(), vec![]);
        let table = [
            (date!(2021 - 03 - 31), None),
            (date!(2021 - 04 - 01), Some(date!(2021 - 04 - 01))),
            (date!(2024 - 02 - 29), Some(date!(2021 - 04 - 01))),
            (date!(2024 - 03 - 01), Some(date!(2024 - 03 - 01))),
            (date!(2099 - 01 - 01), Some(date!(2024 - 03 - 01))),
        ];
        let (uz, beer) = (Country::parse("uz").unwrap(), ProductGroup::parse("beer").unwrap());
        for (day, expected) in table {
            assert_eq!(rules.on(uz, &beer, day).map(|version| version.from), expected, "{day}");
        }
        let (kz, water) = (Country::parse("kz").unwrap(), ProductGroup::parse("water").unwrap());
        assert!(rules.on(kz, &beer, date!(2024 - 03 - 01)).is_none());
        assert!(rules.on(uz, &water, date!(2024 - 03 - 01)).is_none());
    }

    #[test]
    fn a_version_tells_its_kinds_and_how_sure_it_is() {
        let beer = version(date!(2021 - 04 - 01), None);
        assert_eq!(beer.kinds(), BTreeSet::from([PackageKind::Unit, PackageKind::Group]));
        assert_eq!(beer.surety_of(PackageKind::Unit), Sure::Guess);
        assert_eq!(beer.surety_of(PackageKind::Set), Sure::Confirmed);
        assert_eq!(beer.layout_of(PackageKind::Unit).unwrap().forms().len(), 2);
        assert_eq!(beer.layout_of(PackageKind::Set), Err(LayoutError::FormCount { got: 0 }));
        assert!(Grade::A > Grade::C && Grade::D < Grade::C);
    }

    #[test]
    fn every_fault_is_found() {
        let day = date!(2021 - 04 - 01);
        let good = || version(day, None);
        let mut first = good().forms.remove(0);
        let same_length = vec![first.clone(), RuleForm { form: Form::gs1(8, &[("93", 4)]), ..first.clone() }];
        first.kinds.clear();
        first.source.clear();
        let table = [
            (RuleVersion { until: Some(day), ..good() }, vec![RuleFault::Backwards { until: day }]),
            (RuleVersion { source: " ".to_owned(), ..good() }, vec![RuleFault::NoSource { form: None }]),
            (
                RuleVersion { forms: vec![], ..good() },
                vec![RuleFault::Layout(LayoutError::FormCount { got: 0 })],
            ),
            (
                RuleVersion { forms: same_length, ..good() },
                vec![RuleFault::Layout(LayoutError::SameLength { first: 0, second: 1 })],
            ),
            (
                RuleVersion {
                    forms: vec![first],
                    codes_per_report_max: 0,
                    code_life_days: Some(0),
                    ..good()
                },
                vec![
                    RuleFault::NoSource { form: Some(0) },
                    RuleFault::NoKind { form: 0 },
                    RuleFault::NoCodesPerReport,
                    RuleFault::NoLife,
                ],
            ),
            (
                RuleVersion { module_size: Some(ModuleSize { um_min: 680, um_max: 255 }), ..good() },
                vec![RuleFault::ModuleSize { um_min: 680, um_max: 255 }],
            ),
        ];
        for (version, expected) in table {
            assert_eq!(faults_of(vec![version]), expected);
        }
        assert_eq!(faults_of(vec![]), vec![RuleFault::NoVersion]);
        let overlap = vec![version(day, Some(date!(2024 - 03 - 02))), version(date!(2024 - 03 - 01), None)];
        assert_eq!(faults_of(overlap), vec![RuleFault::Overlap { other: day }]);
        let twice =
            Rules { sets: vec![beer(vec![good()]), RuleSet { title: String::new(), ..beer(vec![good()]) }] };
        let texts: Vec<String> = twice.check().iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "rules uz/beer: this product group is described twice; join both descriptions",
                "rules uz/beer: the title is empty; people see it",
            ]
        );
    }

    #[test]
    fn names_are_checked() {
        for bad in ["", "u", "UZ", "uzb", "ўз"] {
            assert!(Country::parse(bad).is_err(), "{bad}");
        }
        for bad in ["", "Beer", "soft drinks", "пиво"] {
            assert!(ProductGroup::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(ProductGroup::parse("dietary_supplements").unwrap().as_str(), "dietary_supplements");
    }
}
