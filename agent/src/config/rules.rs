//! Dated law data from `config/rules/*.toml` into the domain's [`Rules`].
//!
//! The files of this repository are built in. A folder named in the configuration may hold others: a file of the same
//! name replaces the built-in one, another name adds to them. The shape is told at the head of `uz.toml`.

use std::path::{Path, PathBuf};

use tamga_domain::layout::{Form, TailPart};
use tamga_domain::rules::{
    Country, Grade, ModuleSize, Need, PackageKind, ProductGroup, ReportRequires, RuleForm, RuleSet,
    RuleVersion, Rules, Sure,
};
use toml::de::DeTable;

use super::raw::{Notes, Section};

const BUILT_IN: [(&str, &str); 3] = [
    ("kz.toml", include_str!("../../../config/rules/kz.toml")),
    ("ru.toml", include_str!("../../../config/rules/ru.toml")),
    ("uz.toml", include_str!("../../../config/rules/uz.toml")),
];

/// Rule files are written by hand; the largest of ours has 60 KB.
const FILE_LEN_MAX: u64 = 4 * 1024 * 1024;

const SURE: [(&str, Sure); 3] =
    [("confirmed", Sure::Confirmed), ("inferred", Sure::Inferred), ("guess", Sure::Guess)];
const NEED: [(&str, Need); 3] =
    [("required", Need::Required), ("optional", Need::Optional), ("unused", Need::Unused)];
const KINDS: [(&str, PackageKind); 3] =
    [("unit", PackageKind::Unit), ("group", PackageKind::Group), ("set", PackageKind::Set)];
const GRADES: [(&str, Grade); 5] =
    [("A", Grade::A), ("B", Grade::B), ("C", Grade::C), ("D", Grade::D), ("F", Grade::F)];

/// The built-in rules, and those of the folder. What is wrong goes into `notes`.
pub fn load(folder: Option<&Path>, notes: &Notes) -> Rules {
    let mut files: Vec<(PathBuf, String)> =
        BUILT_IN.iter().map(|(name, text)| (Path::new("rules").join(name), (*text).to_owned())).collect();
    for (path, text) in folder.map(|folder| from_folder(folder, notes)).unwrap_or_default() {
        files.retain(|(built_in, _)| built_in.file_name() != path.file_name());
        files.push((path, text));
    }
    let mut rules = Rules::default();
    for (path, text) in files {
        let sets = parse(&path, &text, notes);
        for set in sets {
            if rules.set(set.country, &set.product_group).is_some() {
                let problem = notes.error("agent.rules", "config.rule_twice");
                let problem = problem.with("country", set.country).with("group", &set.product_group);
                notes.add(problem.with("path", path.display()));
            } else {
                rules.sets.push(set);
            }
        }
    }
    rules
}

fn from_folder(folder: &Path, notes: &Notes) -> Vec<(PathBuf, String)> {
    let unreadable = |path: &Path, fault: &dyn std::fmt::Display| {
        let problem = notes.error("agent.rules", "config.file_unreadable").with("path", path.display());
        notes.add(problem.with("fault", fault));
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(fault) => {
            unreadable(folder, &fault);
            return Vec::new();
        }
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        let long = std::fs::metadata(&path).is_ok_and(|facts| facts.len() > FILE_LEN_MAX);
        match std::fs::read_to_string(&path) {
            Ok(text) if !long => files.push((path, text)),
            Ok(_) => unreadable(&path, &format!("> {FILE_LEN_MAX} B")),
            Err(fault) => unreadable(&path, &fault),
        }
    }
    files
}

fn parse(path: &Path, text: &str, notes: &Notes) -> Vec<RuleSet> {
    let own = Notes::new(path, text);
    let (table, faults) = DeTable::parse_recoverable(text);
    own.syntax(&faults);
    let mut sets = Vec::new();
    if faults.is_empty() {
        let root = Section::root(&own, table.get_ref());
        let country = root.text("country").and_then(|text| Country::parse(&text).ok());
        if country.is_none() {
            own.add(own.error("country", "config.country").with("value", ""));
        }
        let groups = root.rows("group");
        sets = groups.iter().filter_map(|section| set(section, country?)).collect();
        faults_of(&sets, &groups, &own);
    }
    notes.absorb(own.finish());
    sets
}

/// The domain's own check, each fault at the group or version that it names.
fn faults_of(sets: &[RuleSet], groups: &[Section<'_>], own: &Notes) {
    let rules = Rules { sets: sets.to_vec() };
    for problem in rules.check() {
        let named =
            |section: &&Section<'_>| section.text("name").as_deref() == Some(problem.product_group.as_str());
        let group = groups.iter().rfind(named);
        let key = group.map_or(String::new(), |group| {
            let versions = group.rows("version");
            let version = versions.iter().rfind(|version| problem.from == version.date("from"));
            // Their keys were read before; only their places are asked for here.
            let key = version.map_or(group.path.clone(), |version| version.path.clone());
            versions.into_iter().for_each(Section::forget);
            key
        });
        own.add(own.error(key, "config.rule").with("fault", problem.fault));
    }
}

fn set(section: &Section<'_>, country: Country) -> Option<RuleSet> {
    let name = section.text("name");
    let product_group = name.as_deref().and_then(|name| ProductGroup::parse(name).ok());
    if product_group.is_none() {
        let problem = section.error("name", "config.group_name");
        section.notes.add(problem.with("value", name.unwrap_or_default()));
    }
    let title = section.text("title").unwrap_or_default();
    let valid = section.rows("version").iter().filter_map(version).collect();
    Some(RuleSet { country, product_group: product_group?, title, valid })
}

fn version(section: &Section<'_>) -> Option<RuleVersion> {
    let from = section.date("from");
    if from.is_none() {
        section.missing("from", "why.rules.from");
    }
    let report = section.section("report");
    let need = |name| report.choice(name, &NEED).unwrap_or(Need::Required);
    let module = section.section("module_um");
    let um = |name| module.number(name, 1..=100_000, "why.rules.module_um").map(|n| n as u32);
    let (um_min, um_max) = (um("min"), um("max"));
    let days = section.number("code_life_days", 0..=100_000, "why.rules.code_life_days");
    let codes = section.number("codes_per_report_max", 0..=10_000_000, "why.rules.codes_per_report_max");
    let version = RuleVersion {
        until: section.date("until"),
        source: section.text("source").unwrap_or_default(),
        sure: section.choice("sure", &SURE).unwrap_or(Sure::Guess),
        forms: section.rows("forms").iter().map(form).collect(),
        module_size: um_min.zip(um_max).map(|(um_min, um_max)| ModuleSize { um_min, um_max }),
        grade_min: section.choice("grade_min", &GRADES),
        codes_per_report_max: codes.map_or(0, |n| n as u32),
        report_requires: ReportRequires {
            production_date: need("production_date"),
            expiry_date: need("expiry_date"),
            batch: need("batch"),
        },
        printed_report_allowed: section.flag("printed_report_allowed").unwrap_or(false),
        code_life_days: days.map(|n| n as u32),
        from: from?,
    };
    Some(version)
}

fn form(section: &Section<'_>) -> RuleForm {
    let length = |section: &Section<'_>, name| {
        section.number(name, 1..=200, "why.rules.length").map_or(0, |n| n as usize)
    };
    let part = |section: &Section<'_>| TailPart {
        ai: section.text("ai").unwrap_or_default(),
        len: length(section, "len"),
    };
    let words = section.texts("kinds").unwrap_or_default();
    let kind = |word: &String| KINDS.iter().find(|(name, _)| name == word).map(|(_, kind)| *kind);
    if let Some(strange) = words.iter().find(|word| kind(word).is_none()) {
        let problem = section.error("kinds", "config.not_one_of").with("value", strange);
        section.notes.add(problem.with("known", KINDS.map(|(name, _)| name).join(", ")));
    }
    RuleForm {
        form: Form {
            serial_len: length(section, "serial"),
            gs1: section.flag("gs1").unwrap_or(true),
            tail: section.rows("tail").iter().map(part).collect(),
        },
        kinds: words.iter().filter_map(kind).collect(),
        source: section.text("source").unwrap_or_default(),
        sure: section.choice("sure", &SURE).unwrap_or(Sure::Guess),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(notes: Notes) -> String {
        notes.finish().render(crate::words::Language::En)
    }

    #[test]
    fn the_built_in_rules_have_no_fault() {
        let notes = Notes::new(Path::new("x.toml"), "");
        let rules = load(None, &notes);
        assert!(rules.sets.len() > 20, "{}", rules.sets.len());
        let found = notes.finish();
        assert!(found.is_empty(), "{found}");
        let (uz, beer) = (Country::parse("uz").unwrap(), ProductGroup::parse("beer").unwrap());
        let version = &rules.set(uz, &beer).unwrap().valid[0];
        assert_eq!(version.forms[0].form, Form::gs1(7, &[("93", 4)]));
        assert_eq!((version.codes_per_report_max, version.code_life_days), (30_000, Some(90)));
        assert_eq!(version.report_requires.batch, Need::Optional);
    }

    #[test]
    fn faults_in_law_data_are_named_with_their_place() {
        let text = "country = \"uz\"\n\n[[group]]\nname = \"beer\"\ntitle = \"Beer\"\n\n[[group.version]]\n\
                    from = 2021-04-01\nuntil = 2020-01-01\nsource = \"law\"\nsure = \"certain\"\n\
                    codes_per_report_max = 100\nforms = [\n  { kinds = [\"box\"], gs1 = true, serial = 7, \
                    tail = [{ ai = \"93\", len = 4 }], source = \"x\", sure = \"guess\" },\n]\n";
        let notes = Notes::new(Path::new("x.toml"), "");
        parse(Path::new("uz.toml"), text, &notes);
        let found = problems(notes);
        for expected in
            ["uz.toml:11:1", "\"certain\"", "uz.toml:14:5", "\"box\"", "uz.toml:7:1", "ends on 2020-01-01"]
        {
            assert!(found.contains(expected), "{expected}:\n{found}");
        }
    }
}
