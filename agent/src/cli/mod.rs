//! The command line. One file a subcommand; all but `serve`, `check`, `db`, `dossier verify` and `completions` speak to
//! the daemon over its HTTP API and touch no file of its own but the token.
//!
//! Output for people goes to stdout aligned and short, in the language of `--lang`; `--json` prints the shape of the
//! API instead. What went wrong goes to stderr once. Exit codes stand in [`exit`].
//!
//! The texts of `--help` are English: clap has no second language.

mod alarms;
mod audit;
mod check;
mod codes;
mod completions;
mod daemon;
mod db;
mod doctor;
mod dossier;
pub mod exit;
mod import;
mod look;
mod orders;
mod out;
mod pack;
mod print;
mod rework;
mod run;
mod serve;
mod sheet;
mod start;
mod status;
mod trace;
mod upstream;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::web::dto;
use crate::web::text::{chain, word};
use crate::words::Language;
use daemon::Daemon;
use exit::Exit;

#[derive(Parser)]
#[command(name = "tamga", version, about, after_help = exit::HELP, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
pub struct Globals {
    /// The configuration file
    #[arg(
        long,
        global = true,
        env = "TAMGA_CONFIG",
        value_name = "FILE",
        default_value = "/etc/tamga/line.toml"
    )]
    config: PathBuf,
    /// Print JSON: the shapes of the HTTP API
    #[arg(long, global = true)]
    json: bool,
    /// Language of the output: en or ru [default: from LANG]
    #[arg(long, global = true, env = "TAMGA_LANG", value_name = "LANG", value_parser = language)]
    lang: Option<Language>,
    /// Who asks, for the audit log [default: cli:<unix user>]
    #[arg(long, global = true, env = "TAMGA_WHO", value_name = "NAME")]
    who: Option<String>,
    /// Where the daemon is: a URL, or unix:PATH [default: from the configuration, the socket first]
    #[arg(long, global = true, env = "TAMGA_API", value_name = "URL")]
    api: Option<String>,
    /// File with the token [default: api.token in the data folder]
    #[arg(long, global = true, env = "TAMGA_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Serve),
    Check(check::Check),
    Status(status::Status),
    Run(run::Run),
    Codes(codes::Codes),
    Pack(pack::Pack),
    Orders(orders::Orders),
    Test(print::Test),
    Upstream(upstream::Upstream),
    Doctor(doctor::Doctor),
    Alarms(alarms::Alarms),
    Trace(trace::Trace),
    Audit(audit::Audit),
    Db(db::Db),
    Dossier(dossier::Dossier),
    Completions(completions::Completions),
}

impl Globals {
    /// `--lang`, else the language of the environment, else English.
    fn lang(&self) -> Language {
        let of_env = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let env = || of_env("LC_ALL").or_else(|| of_env("LC_MESSAGES")).or_else(|| of_env("LANG"));
        self.lang.or_else(|| env().and_then(|tag| Language::parse(&tag))).unwrap_or(Language::En)
    }
}

fn language(tag: &str) -> Result<Language, String> {
    Language::parse(tag).ok_or_else(|| "en or ru".to_owned())
}

/// Why a command did not do what it was asked, with what a script and what a person is told.
pub struct Failed {
    exit: Exit,
    said: Said,
}

enum Said {
    /// A key of the catalogue and its arguments.
    Here(String, Vec<(String, String)>),
    /// By the daemon, in the user's language already.
    Daemon(dto::Failure),
    /// Problems of the configuration: for people and for programs.
    Problems(String, serde_json::Value),
    /// All was printed already.
    Nothing,
}

impl Failed {
    fn new(exit: Exit, key: &str) -> Failed {
        Failed { exit, said: Said::Here(key.to_owned(), Vec::new()) }
    }

    #[must_use]
    fn with(mut self, name: &str, value: impl ToString) -> Failed {
        if let Said::Here(_, args) = &mut self.said {
            args.push((name.to_owned(), value.to_string()));
        }
        self
    }

    fn internal(error: &dyn Error) -> Failed {
        Failed::new(Exit::Internal, "cli.internal").with("why", chain(error))
    }

    fn told(exit: Exit, failure: dto::Failure) -> Failed {
        Failed { exit, said: Said::Daemon(failure) }
    }

    fn problems(text: String, json: serde_json::Value) -> Failed {
        Failed { exit: Exit::Config, said: Said::Problems(text, json) }
    }

    fn quietly(exit: Exit) -> Failed {
        Failed { exit, said: Said::Nothing }
    }

    /// Whether the daemon refused it with this key.
    fn is_told(&self, key: &str) -> bool {
        matches!(&self.said, Said::Daemon(failure) if failure.error == key)
    }

    fn print(self, globals: &Globals) -> Exit {
        let (error, args, text) = match self.said {
            Said::Nothing => return self.exit,
            Said::Problems(text, json) => {
                if globals.json {
                    out::json(&serde_json::json!({ "error": "cli.config", "problems": json }));
                } else {
                    eprint!("{text}");
                }
                return self.exit;
            }
            Said::Here(key, args) => {
                let text = word(globals.lang(), "cli", &key, &args);
                (key, args.into_iter().collect(), text)
            }
            Said::Daemon(failure) => (failure.error, failure.args, failure.text),
        };
        if globals.json {
            out::json(&dto::Failure { error, args, text });
        } else {
            eprintln!("tamga: {text}");
        }
        self.exit
    }
}

/// Reads the arguments and does what they say.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() };
        }
    };
    let globals = cli.globals;
    match done(cli.command, &globals) {
        Ok(()) => Exit::Ok.into(),
        Err(failed) => failed.print(&globals).into(),
    }
}

fn done(command: Command, globals: &Globals) -> Result<(), Failed> {
    // Commands without the daemon end here.
    let command = match command {
        Command::Serve(_) => return serve::run(globals),
        Command::Check(_) => return check::run(globals),
        Command::Completions(command) => return completions::run(&command),
        Command::Db(command) => return db::run(globals, command),
        Command::Dossier(dossier::Dossier { command: dossier::Command::Verify(command) }) => {
            return dossier::verify(globals, &command);
        }
        other => other,
    };
    out::log("warn", false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failed::internal(&error))?;
    let daemon = Daemon::find(globals)?;
    let show = out::Show { json: globals.json, language: globals.lang() };
    runtime.block_on(async {
        match command {
            Command::Status(_) => status::run(&daemon, show).await,
            Command::Run(command) => run::run(&daemon, show, command).await,
            Command::Codes(command) => codes::run(&daemon, show, command).await,
            Command::Pack(command) => pack::run(&daemon, show, command).await,
            Command::Orders(command) => orders::run(&daemon, show, command).await,
            Command::Test(command) => print::run(&daemon, show, command).await,
            Command::Upstream(_) => upstream::run(&daemon, show).await,
            Command::Audit(command) => audit::run(&daemon, show, command).await,
            Command::Doctor(_) => doctor::run(&daemon, show).await,
            Command::Alarms(command) => alarms::run(&daemon, show, command).await,
            Command::Trace(command) => trace::run(&daemon, show, command).await,
            Command::Dossier(command) => dossier::run(&daemon, show, command).await,
            Command::Serve(_) | Command::Check(_) | Command::Completions(_) | Command::Db(_) => Ok(()),
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn walk(command: &clap::Command, name: &str, without: &mut Vec<String>) {
        let help = command.clone().render_long_help().to_string();
        if command.get_about().is_none() || !help.contains("Example") || !help.contains("tamga ") {
            without.push(name.to_owned());
        }
        for sub in command.get_subcommands() {
            walk(sub, &format!("{name} {}", sub.get_name()), without);
        }
    }

    #[test]
    fn every_command_has_help_with_an_example() {
        let command = Cli::command();
        command.clone().debug_assert();
        let mut without = Vec::new();
        walk(&command, "tamga", &mut without);
        assert_eq!(without, [""; 0]);
        assert!(command.get_subcommands().count() >= 10);
    }
}
