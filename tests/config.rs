//! Configuration: every shipped file loads, and the texts of problems are what people will read.
//!
//! Each `tests/data/config/<name>.toml` is broken on purpose; `<name>.txt` (and `<name>.ru.txt`) is the complete list of
//! problems. To accept new texts after reading them: `TAMGA_BLESS=1 cargo test --test config`.

#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tamga::config::Config;
use tamga::config::gate::Gate;
use tamga::config::line::LineKind;
use tamga::config::printer::PrinterDevice;
use tamga::config::reader::{ReaderDevice, ReaderLink};
use tamga::config::upstream::Upstream;
use tamga::words::Language;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    paths
}

fn parse(path: &Path) -> Result<Config, tamga::config::problem::Problems> {
    let text = std::fs::read_to_string(path).unwrap();
    Config::parse(Path::new(path.file_name().unwrap()), &text)
}

#[test]
fn every_shipped_file_loads_without_a_word() {
    let paths = files("config");
    assert!(paths.len() >= 4);
    for path in paths {
        let config = parse(&path).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(config.warnings.is_empty(), "{}", config.warnings);
    }
}

/// The reference shows defaults: a file without them must give the same.
#[test]
fn the_reference_shows_the_defaults() {
    let reference = parse(&root().join("config/line.toml")).unwrap();
    let short = "[upstream.xtrace]\nurl = \"https://xtrace.aslbelgisi.uz\"\napi_key_file = \"/etc/tamga/xtrace.key\"\n\
        business_place = 123\n\
        [[products]]\ngtin = \"04780000000014\"\ngroup = \"water\"\nname = \"Still water 0.5 l\"\n\
        order = { low_water = 20000, quantity = 100000 }\n\
        [[products]]\ngtin = \"04780000000021\"\ngroup = \"water\"\nname = \"Sparkling water 1.5 l\"\n\
        [lines.l1]\nkind = \"print-and-apply\"\nitems_per_min = 120\nlabels_head_to_applicator = 2\n\
        items_applicator_to_reader = 3\n\
        [lines.l1.printers.p1.zpl]\naddress = \"10.0.0.5\"\nlabel_width_dots = 354\nlabel_length_dots = 236\n\
        [[lines.l1.printers.p1.zpl.texts]]\nx = 130\ny = 30\nheight = 24\ntext = \"{batch}\"\n\
        [[lines.l1.printers.p1.zpl.texts]]\nx = 130\ny = 66\nheight = 24\ntext = \"{production} {expiry}\"\n\
        [lines.l1.readers.r1.text]\nconnect = \"10.0.0.6\"\npreset = \"keyence_sr\"\nlatency_ms_min = 20\n\
        [lines.l1.gate.modbus]\naddress = \"10.0.0.7\"\n\
        [broker]\naddress = \"10.0.0.9\"\nfrom = [\"0a1b2c3d\"]\n\
        [sscc]\nextension = 0\ncompany_prefix = \"000123456789\"\nfirst = 0\nlast = 9999\n\
        [stations.box1]\nlevel = \"box\"\nholds = \"items\"\ncapacity = 12\n\
        [stations.box1.reader.text]\nserial = \"/dev/serial/by-id/usb-scanner-0001\"\n\
        [stations.box1.printer.zpl]\naddress = \"10.0.0.8\"\nlabel_width_dots = 800\nlabel_length_dots = 400\n\
        [[stations.box1.printer.zpl.texts]]\nx = 250\ny = 40\nheight = 48\ntext = \"{sscc}\"\n\
        [[stations.box1.printer.zpl.texts]]\nx = 250\ny = 110\nheight = 32\ntext = \"{content}\"\n\
        [stations.box1.printer.zpl.gs1_128]\nx = 60\ny = 160\nheight = 200\n";
    let short = Config::parse(Path::new("line.toml"), short).unwrap_or_else(|problems| panic!("{problems}"));
    let short = Config { text: reference.text.clone(), ..short };
    assert_eq!(short, reference);
}

#[test]
fn the_reference_means_what_it_says() {
    let config = parse(&root().join("config/line.toml")).unwrap();
    let line = &config.lines[0];
    assert_eq!((line.name.as_str(), line.kind), ("l1", LineKind::PrintAndApply));
    assert_eq!(line.life_left_min, Duration::from_secs(24 * 3600));
    let PrinterDevice::Zpl(zpl) = &line.printers[0].device;
    assert_eq!((zpl.address.to_string().as_str(), zpl.config.window), ("10.0.0.5:9100", 4));
    let ReaderDevice::Text(text) = &line.readers[0].device;
    assert!(matches!(&text.link, ReaderLink::Connect(address) if address.port == 9004));
    assert_eq!(
        (&text.config.terminator[..], &text.config.no_read[..]),
        (&b"\r"[..], &[b"ERROR".to_vec()][..])
    );
    let Gate::Modbus(modbus) = &line.gate;
    assert_eq!(modbus.config.map, tamga_drivers::gate::map::GateMap::default());
    let Some(Upstream::Xtrace(xtrace)) = &config.upstream else { panic!("no upstream") };
    assert_eq!(xtrace.settle_min, Duration::from_secs(900));
    assert_eq!(config.product(&config.products[1].gtin).unwrap().name, "Sparkling water 1.5 l");
}

/// Who changes the roll takes the labels of the web away: were as many codes allowed to be missing, nobody would see it.
#[test]
fn a_gap_as_long_as_the_web_is_warned_of_and_is_never_the_default() {
    let text = std::fs::read_to_string(root().join("config/line-print-and-apply.toml")).unwrap();
    let with = |web: u32, gap_max: Option<u32>| {
        let text = text.replace("head_to_applicator = 2", &format!("head_to_applicator = {web}"));
        let limits = gap_max.map_or(String::new(), |gap| format!("[lines.l1.limits]\ngap_max = {gap}\n"));
        Config::parse(Path::new("line.toml"), &format!("{text}\n{limits}")).unwrap_or_else(|p| panic!("{p}"))
    };
    for (web, usual) in [(0, 3), (1, 1), (2, 1), (3, 2), (4, 3), (5, 3), (50, 3)] {
        let config = with(web, None);
        assert_eq!((config.lines[0].limits.gap_max, config.warnings.warnings()), (usual, 0), "web {web}");
    }
    for (web, gap_max, warned) in
        [(0, 100, false), (1, 0, false), (1, 1, false), (1, 2, true), (2, 1, false), (2, 2, true)]
            .into_iter()
            .chain([(3, 2, false), (3, 3, true), (4, 3, false), (4, 100, true)])
    {
        let config = with(web, Some(gap_max));
        let messages: Vec<&str> = config.warnings.iter().map(|problem| problem.message).collect();
        let expected: &[&str] = if warned { &["config.gap_hides_roll"] } else { &[] };
        assert_eq!(messages, expected, "web {web}, gap_max {gap_max}");
        for problem in config.warnings.iter() {
            whole(problem);
            let at = text.lines().count() + 3;
            assert_eq!((problem.line, problem.key.as_str()), (at, "lines.l1.limits.gap_max"));
        }
    }
}

/// A wrong zone reports goods as made on another day: where a country has several, none is guessed.
#[test]
fn the_plants_zone_is_known_by_its_country_or_must_be_written() {
    let text = std::fs::read_to_string(root().join("config/line.toml")).unwrap();
    let with = |country: &str, zone: &str| {
        let text = text.replace("country = \"uz\"", &format!("country = \"{country}\""));
        Config::parse(Path::new("line.toml"), &text.replace("zone = \"+05:00\"", zone))
    };
    for (country, zone, expected) in [
        ("uz", "", Some("+05:00")),
        ("kz", "", Some("+05:00")),
        ("uz", "zone = \"+06:30\"", Some("+06:30")),
        ("ru", "zone = \"+03:00\"", Some("+03:00")),
        ("ru", "", None),
        ("uz", "zone = \"Asia/Tashkent\"", None),
        ("uz", "zone = \"+15:00\"", None),
    ] {
        let found = with(country, zone);
        match expected {
            Some(expected) => {
                assert_eq!(found.unwrap_or_else(|p| panic!("{p}")).agent.zone.to_string(), expected);
            }
            None => {
                let problems = found.err().unwrap().render(Language::En);
                let named = ["zone is missing", "is not a zone"];
                assert!(named.iter().any(|n| problems.contains(n)), "{country} {zone}: {problems}");
            }
        }
    }
}

#[test]
fn broken_files_give_their_whole_list() {
    let bless = std::env::var_os("TAMGA_BLESS").is_some();
    let paths = files("tests/data/config");
    assert!(paths.len() >= 6);
    for path in paths {
        let problems = parse(&path).err().unwrap_or_else(|| panic!("{} is not broken", path.display()));
        problems.iter().for_each(whole);
        for (language, extension) in [(Language::En, "txt"), (Language::Ru, "ru.txt")] {
            let expected = path.with_extension(extension);
            let found = problems.render(language);
            if bless && (language == Language::En || expected.exists()) {
                std::fs::write(&expected, &found).unwrap();
            }
            if language == Language::En || expected.exists() {
                let expected = std::fs::read_to_string(&expected).unwrap();
                assert_eq!(found, expected, "{} ({language:?})", path.display());
            }
        }
    }
}

/// The catalogue has the message, and every placeholder of it was given.
fn whole(problem: &tamga::config::problem::Problem) {
    for language in Language::ALL {
        let text = problem.text(language).replace("{batch}", "");
        assert_ne!(text, problem.message);
        let open = text.split('{').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
        assert!(!open, "{text}");
    }
}

/// Whatever stands in a file, the answer is a list of problems with places in the file.
#[test]
fn no_file_makes_the_check_fail() {
    let text = std::fs::read_to_string(root().join("config/line.toml")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let odd = [
        "",
        "{}",
        "[[1]]",
        "\"\\u0000é\"",
        "-9223372036854775808",
        "18446744073709551616",
        "1979-05-27",
        "\"",
        "é",
    ];
    for (at, line) in lines.iter().enumerate() {
        let Some((name, _)) = line.split_once(" = ").filter(|(name, _)| !name.starts_with('#')) else {
            continue;
        };
        for value in odd {
            let changed = format!("{name} = {value}");
            let mut lines = lines.clone();
            lines[at] = if value.is_empty() { "" } else { &changed };
            if let Err(problems) = Config::parse(Path::new("line.toml"), &lines.join("\n")) {
                assert!(problems.errors() > 0);
                for problem in problems.iter() {
                    assert!((1..=lines.len()).contains(&problem.line), "{problems}");
                    whole(problem);
                }
            }
        }
    }
}

#[test]
fn programs_get_keys_and_values_apart() {
    let problems = parse(&root().join("tests/data/config/values.toml")).unwrap_err();
    let json = problems.json(Language::En);
    assert_eq!((&json[0]["severity"], &json[1]["severity"]), (&"warning".into(), &"error".into()));
    assert_eq!(json.as_array().unwrap().len(), problems.iter().count());
    let range = json.as_array().unwrap().iter().find(|one| one["message"] == "config.out_of_range").unwrap();
    assert!(range["args"]["min"].is_string() && range["line"].as_u64().unwrap() > 0);
    assert!(range["text"].as_str().unwrap().contains(range["args"]["max"].as_str().unwrap()));
}

/// A folder of its own under the target folder, empty at the start.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The messages about the machine when the key file has this text and mode; `None`: it is not there.
fn with_key(name: &str, key: Option<(&str, u32)>) -> Vec<&'static str> {
    let folder = folder(name);
    if let Some((text, mode)) = key {
        let path = folder.join("xtrace.key");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let text = std::fs::read_to_string(root().join("config/line.toml")).unwrap();
    let text = text.replace("/etc/tamga/xtrace.key", "xtrace.key").replace("/var/lib/tamga", ".");
    // No scanner is plugged in here.
    let text = text
        .replace("serial = \"/dev/serial/by-id/usb-scanner-0001\"\nbaud = 9600", "connect = \"10.0.0.9:23\"");
    let path = folder.join("line.toml");
    std::fs::write(&path, text).unwrap();
    match Config::load(&path) {
        Ok(config) => config.warnings.iter().map(|problem| problem.message).collect(),
        Err(problems) => problems.iter().map(|problem| problem.message).collect(),
    }
}

#[test]
fn the_api_key_must_be_there_and_secret() {
    let memory = |found: Vec<&'static str>| {
        // The target folder itself may lie in memory.
        found.into_iter().filter(|message| *message != "config.data_in_memory").collect::<Vec<_>>()
    };
    assert_eq!(memory(with_key("key-missing", None)), ["config.secret_missing"]);
    assert_eq!(memory(with_key("key-open", Some(("k\n", 0o644)))), ["config.secret_open"]);
    assert_eq!(memory(with_key("key-empty", Some((" \n", 0o640)))), ["config.secret_empty"]);
    assert_eq!(memory(with_key("key-good", Some(("k\n", 0o640)))), [""; 0]);
}

#[test]
fn the_socket_lies_in_the_data_folder_and_the_hosts_are_those_of_the_file() {
    let text = std::fs::read_to_string(root().join("config/line.toml")).unwrap();
    let config = Config::parse(Path::new("line.toml"), &text).unwrap();
    assert_eq!(config.api.socket.as_deref(), Some(Path::new("/var/lib/tamga/api.sock")));
    assert_eq!((config.api.socket_group, config.api.hosts), (None, vec![]));
    let set = text.replace("# hosts = ", "hosts = ").replace("# socket_group = ", "socket_group = ");
    let api = Config::parse(Path::new("line.toml"), &set).unwrap().api;
    assert_eq!(
        (api.socket_group.as_deref(), &api.hosts[..]),
        (Some("tamga"), &["line1.plant.local".to_owned()][..])
    );
}

#[test]
fn a_missing_file_says_so() {
    let problems = Config::load(Path::new("/nowhere/tamga.toml")).unwrap_err();
    assert!(
        problems
            .to_string()
            .starts_with("/nowhere/tamga.toml: error\n    /nowhere/tamga.toml cannot be read")
    );
}

#[test]
fn a_rules_folder_replaces_the_built_in_file_of_the_same_name() {
    let folder = folder("rules");
    let uz = std::fs::read_to_string(root().join("config/rules/uz.toml")).unwrap();
    std::fs::write(folder.join("uz.toml"), uz.replace("name = \"beer\"", "name = \"kvass\"")).unwrap();
    let config = |group: &str| {
        let text = std::fs::read_to_string(root().join("config/line.toml")).unwrap();
        let text = text.replace("group = \"water\"", &format!("group = \"{group}\""));
        let text =
            text.replace("# rules = \"rules\"", &format!("rules = {:?}", folder.display().to_string()));
        Config::parse(Path::new("line.toml"), &text)
    };
    assert!(config("kvass").is_ok());
    assert!(config("beer").unwrap_err().to_string().contains("no rules for the product group \"beer\""));
}

/// The line that prints in place without its reader, for a product of `group` in `country`.
fn without_reader(country: &str, group: &str, rules: Option<&Path>) -> Vec<&'static str> {
    let text = std::fs::read_to_string(root().join("config/line-print.toml")).unwrap();
    let (before, rest) = text.split_once("[lines.l2.readers").unwrap();
    let (_, after) = rest.split_once("\n[lines.l2.gate").unwrap();
    let text = format!("{before}[lines.l2.gate{after}");
    let text: String = text
        .lines()
        .map(|line| match line.split(" = ").next().unwrap() {
            "country" => format!("country = \"{country}\"\n"),
            "group" => format!("group = \"{group}\"\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let rules = rules.map_or(String::new(), |folder| format!("rules = {:?}\n", folder.display().to_string()));
    let text = text.replace("[agent]\n", &format!("[agent]\n{rules}"));
    let problems = Config::parse(Path::new("line.toml"), &text).expect_err("a line without a reader");
    problems.iter().filter(|problem| problem.key == "lines.l2").map(|problem| problem.message).collect()
}

/// No state system of today takes a report of codes that are merely printed: a report says that the mark is on an
/// item, which only a reader knows. A group whose rules begin to allow it must be looked at by a person.
fn no_group_reports_what_is_merely_printed(country: &str) {
    let rules = parse(&root().join("config/line.toml")).unwrap().rules;
    let groups = rules.sets.iter().filter(|set| set.country.to_string() == country);
    let groups: Vec<&str> = groups.map(|set| set.product_group.as_str()).collect();
    assert!(groups.len() >= 5, "{groups:?}");
    for group in groups {
        assert_eq!(
            without_reader(country, group, None),
            ["config.needs_reader_by_rules"],
            "{country} {group}"
        );
    }
}

#[test]
fn a_line_without_a_reader_is_refused_in_uzbekistan() {
    no_group_reports_what_is_merely_printed("uz");
}

#[test]
fn a_line_without_a_reader_is_refused_in_kazakhstan() {
    no_group_reports_what_is_merely_printed("kz");
}

#[test]
fn a_line_without_a_reader_is_refused_in_russia() {
    no_group_reports_what_is_merely_printed("ru");
}

/// Rules of one's own may allow it; then it is the agent that cannot, and `check` says so, not the start.
#[test]
fn a_line_without_a_reader_that_the_rules_allow_is_refused_as_not_there_yet() {
    let folder = folder("printed-allowed");
    let uz = std::fs::read_to_string(root().join("config/rules/uz.toml")).unwrap();
    let allowed = uz.replace("printed_report_allowed = false", "printed_report_allowed = true");
    std::fs::write(folder.join("uz.toml"), allowed).unwrap();
    assert_eq!(without_reader("uz", "water", Some(&folder)), ["config.needs_reader_yet"]);
}
