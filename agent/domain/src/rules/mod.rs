//! Dated law data: what a country wants of the codes of one product group, from which day on.
//!
//! Deadlines, layouts, sizes and duties of report change by decree, several times a year: they are
//! data with a source and a degree of certainty, never code. The agent reads them from
//! `config/rules/*.toml` into these plain structs; [`Rules::check`] then names every fault at once.

use std::collections::BTreeSet;
use std::fmt;

use thiserror::Error;
use time::Date;

use crate::layout::{Form, Layout, LayoutError};

pub mod check;

/// A country as its two-letter code in lower case (ISO 3166-1 alpha-2): `uz`, `kz`, `ru`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    pub fn parse(text: &str) -> Result<Country, NameError> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_lowercase() && b.is_ascii_lowercase() => Ok(Country([*a, *b])),
            _ => Err(NameError::Country { got: text.to_owned() }),
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", char::from(self.0[0]), char::from(self.0[1]))
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Country({self})")
    }
}

/// A product group under the name that the state system's API gives it: `beer`, `water`, `pharma`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProductGroup(String);

impl ProductGroup {
    /// Accepts 1 to 40 characters of `a-z 0-9 _`.
    pub fn parse(text: &str) -> Result<ProductGroup, NameError> {
        let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if text.is_empty() || text.len() > 40 || !text.bytes().all(known) {
            return Err(NameError::ProductGroup { got: text.to_owned() });
        }
        Ok(ProductGroup(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProductGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    #[error("\"{got}\" is not a country: write two small letters, as uz, kz or ru")]
    Country { got: String },
    #[error("\"{got}\" is not a product group: write small letters, digits and _, as beer or water")]
    ProductGroup { got: String },
}

/// How well an entry is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sure {
    /// Follows from nothing we have read; a line must not start on it without a person's leave.
    Guess,
    /// Taken from third parties' software or from a neighbouring rule.
    Inferred,
    /// Stands in a law or in the operator's own document.
    Confirmed,
}

/// What bears the code. Boxes and pallets bear an SSCC and are not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PackageKind {
    Unit,
    Group,
    Set,
}

/// Whether the application report needs a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    Required,
    Optional,
    Unused,
}

/// Print grade of ISO/IEC 15415, worst first, so that `grade >= grade_min` means good enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    F,
    D,
    C,
    B,
    A,
}

/// Fields of the application report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportRequires {
    pub production_date: Need,
    pub expiry_date: Need,
    pub batch: Need,
}

/// Allowed size of one module of the symbol, in micrometres, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModuleSize {
    pub um_min: u32,
    pub um_max: u32,
}

/// One form and who bears it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleForm {
    pub form: Form,
    pub kinds: Vec<PackageKind>,
    pub source: String,
    pub sure: Sure,
}

/// The rules of one product group between two days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleVersion {
    /// First day on which it holds.
    pub from: Date,
    /// First day on which it holds no more; `None`: no end is known.
    pub until: Option<Date>,
    pub source: String,
    pub sure: Sure,
    pub forms: Vec<RuleForm>,
    pub module_size: Option<ModuleSize>,
    pub grade_min: Option<Grade>,
    /// Upper limit of codes in one report.
    pub codes_per_report_max: u32,
    pub report_requires: ReportRequires,
    /// Whether a "printed" application report exists, so that a line without a reader may report.
    pub printed_report_allowed: bool,
    /// Days after emission in which a code must be reported applied; `None`: no limit known.
    pub code_life_days: Option<u32>,
}

impl RuleVersion {
    pub fn holds_on(&self, day: Date) -> bool {
        self.from <= day && self.until.is_none_or(|until| day < until)
    }

    /// The layout of all kinds of package together: for look-up, where any mark may be read.
    pub fn layout(&self) -> Result<Layout, LayoutError> {
        Layout::new(self.forms.iter().map(|entry| entry.form.clone()).collect())
    }

    /// The layout of one kind of package: for a station that reads only such marks.
    pub fn layout_of(&self, kind: PackageKind) -> Result<Layout, LayoutError> {
        let bears = |entry: &&RuleForm| entry.kinds.contains(&kind);
        Layout::new(self.forms.iter().filter(bears).map(|entry| entry.form.clone()).collect())
    }

    /// The kinds of package that bear codes of this group.
    pub fn kinds(&self) -> BTreeSet<PackageKind> {
        self.forms.iter().flat_map(|entry| entry.kinds.iter().copied()).collect()
    }

    /// The least sure of the version and of its forms for one kind of package.
    pub fn surety_of(&self, kind: PackageKind) -> Sure {
        let of_forms = self.forms.iter().filter(|entry| entry.kinds.contains(&kind)).map(|entry| entry.sure);
        of_forms.fold(self.sure, Sure::min)
    }
}

/// One product group of one country over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSet {
    pub country: Country,
    pub product_group: ProductGroup,
    /// For people.
    pub title: String,
    pub valid: Vec<RuleVersion>,
}

/// All rules that the agent knows. May hold faults until [`Rules::check`] has found none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    pub sets: Vec<RuleSet>,
}

impl Rules {
    pub fn set(&self, country: Country, group: &ProductGroup) -> Option<&RuleSet> {
        self.sets.iter().find(|set| set.country == country && set.product_group == *group)
    }

    /// The rules of a product group on one day; `None` if the group is not known or not yet bound.
    pub fn on(&self, country: Country, group: &ProductGroup, day: Date) -> Option<&RuleVersion> {
        self.set(country, group)?.valid.iter().find(|version| version.holds_on(day))
    }

    pub fn check(&self) -> Vec<check::RuleProblem> {
        check::check(self)
    }
}
