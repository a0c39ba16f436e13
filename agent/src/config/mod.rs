//! Configuration: one TOML file, read once at the start.
//!
//! [`Config::load`] gives either a configuration that is valid by construction, or all that is wrong with it at once,
//! each with its file, line and key. Nothing here opens a device or a database, and nothing is changed to please a
//! check. Relative paths are taken from the folder of the file.
//!
//! - [`problem`]: what is wrong, as keys and values
//! - [`raw`]: tables with places, and the notes taken while they are read
//! - [`agent`], [`upstream`], [`broker`], [`product`], [`line`], [`printer`], [`reader`], [`gate`], [`station`]: one part of the file
//!   each
//! - [`symbol`], [`address`], [`near`]: what these parts share
//! - [`rules`]: dated law data, built in or from a folder
//! - [`check`]: what must hold between the parts; [`packing`]: of stations
//! - [`machine`]: files of this computer

use std::path::{Path, PathBuf};

use tamga_domain::gs1::Gtin;
use tamga_domain::rules::Rules;
use toml::de::DeTable;

pub mod address;
pub mod agent;
pub mod broker;
pub mod check;
pub mod gate;
pub mod line;
pub mod machine;
pub mod near;
pub mod packing;
pub mod printer;
pub mod problem;
pub mod product;
pub mod raw;
pub mod reader;
pub mod rules;
pub mod station;
pub mod symbol;
pub mod upstream;

use agent::{Agent, Api, Log};
use broker::Broker;
use line::Line;
use problem::{Problem, Problems, Severity};
use product::Product;
use raw::{Notes, Section};
use station::Station;
use tamga_domain::sscc::SsccRange;
use upstream::Upstream;

#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub file: PathBuf,
    /// The file as it was read: to tell whether it was changed since.
    pub text: String,
    pub agent: Agent,
    pub api: Api,
    pub log: Log,
    /// `None`: an agent without a state system, whose codes come from lists.
    pub upstream: Option<Upstream>,
    /// `None`: an agent that knows its own packs only.
    pub broker: Option<Broker>,
    /// In the order of the file; no GTIN twice.
    pub products: Vec<Product>,
    /// In the order of the file: `LineNo` is the place here.
    pub lines: Vec<Line>,
    /// Where packs are filled, in the order of the file.
    pub stations: Vec<Station>,
    /// The names that packs get, where packs get names from here.
    pub names: Option<SsccRange>,
    pub rules: Rules,
    /// What is not wrong enough to refuse it; to be shown at every start.
    pub warnings: Problems,
}

impl Config {
    /// Reads and checks a file and what it names on this computer.
    ///
    /// # Errors
    /// All problems, warnings among them, when at least one of them is an error.
    pub fn load(path: &Path) -> Result<Config, Problems> {
        Config::read(path, &read_text(path)?, true)
    }

    /// The same for a text, without a look at this computer's files: for a configuration of another machine.
    /// (A folder of rules that it names is read all the same: nothing can be checked without rules.)
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Config, Problems> {
        Config::read(path, text, false)
    }

    /// Where the daemon of a configuration is spoken to. What is wrong with the rest of the file is passed over: a line
    /// that runs must be stopped also while somebody is editing its configuration.
    ///
    /// # Errors
    /// When the file cannot be read or is no TOML: nobody could say which daemon is meant.
    pub fn api_of(path: &Path) -> Result<Api, Problems> {
        let text = read_text(path)?;
        let notes = Notes::new(path, &text);
        let (table, faults) = DeTable::parse_recoverable(&text);
        if !faults.is_empty() {
            notes.syntax(&faults);
            return Err(notes.finish());
        }
        let root = Section::root(&notes, table.get_ref());
        let agent = agent::read_agent(&root.section("agent"));
        let api = agent::read_api(&root.section("api"), &agent);
        root.forget();
        // Where the daemon is must be right; nothing is guessed.
        let where_it_is = |p: &&Problem| {
            p.severity == Severity::Error && (p.key == "agent.data" || p.key.starts_with("api."))
        };
        let wrong: Vec<Problem> = notes.finish().iter().filter(where_it_is).cloned().collect();
        if wrong.is_empty() { Ok(api) } else { Err(Problems::new(wrong)) }
    }

    fn read(path: &Path, text: &str, machine: bool) -> Result<Config, Problems> {
        let notes = Notes::new(path, text);
        let (table, faults) = DeTable::parse_recoverable(text);
        if !faults.is_empty() {
            // Half a table would only bring problems that are not there.
            notes.syntax(&faults);
            return Err(notes.finish());
        }
        let mut config = read_all(&Section::root(&notes, table.get_ref()));
        check::check(
            &check::Draft {
                agent: &config.agent,
                api: &config.api,
                upstream: config.upstream.as_ref(),
                broker: config.broker.as_ref(),
                products: &config.products,
                lines: &config.lines,
                stations: &config.stations,
                names: config.names.as_ref(),
                rules: &config.rules,
            },
            &notes,
        );
        if machine {
            machine::check(&config, &notes);
        }
        let problems = notes.finish();
        if problems.errors() > 0 {
            return Err(problems);
        }
        config.warnings = problems;
        text.clone_into(&mut config.text);
        Ok(config)
    }

    pub fn product(&self, gtin: &Gtin) -> Option<&Product> {
        self.products.iter().find(|product| product.gtin == *gtin)
    }
}

fn read_text(path: &Path) -> Result<String, Problems> {
    std::fs::read_to_string(path).map_err(|fault| {
        let problem = Problem::new(Severity::Error, "", "config.cannot_read");
        let problem = problem.with("path", path.display()).with("fault", fault);
        Problems::new(vec![problem.at(path, problem::Place::default())])
    })
}

fn read_all(root: &Section<'_>) -> Config {
    let agent = agent::read_agent(&root.section("agent"));
    Config {
        file: root.notes.file.clone(),
        text: String::new(),
        api: agent::read_api(&root.section("api"), &agent),
        log: agent::read_log(&root.section("log")),
        upstream: upstream::read(&root.section("upstream"), agent.country),
        broker: broker::read(&root.section("broker")),
        products: product::read_all(root),
        lines: line::read_all(&root.section("lines")),
        stations: station::read_all(&root.section("stations")),
        names: station::read_names(&root.section("sscc")),
        rules: rules::load(agent.rules.as_deref(), root.notes),
        warnings: Problems::default(),
        agent,
    }
}
