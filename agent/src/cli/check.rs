//! `tamga check`: all problems of the configuration at once, without a daemon.

use clap::Args;

use super::exit::Exit;
use super::{Failed, Globals, out};
use crate::config::Config;

/// Check the configuration and name every problem in it
#[derive(Args)]
#[command(after_help = "Example:
  tamga check --config /etc/tamga/line.toml

Ends with 0 when the daemon would start with it (warnings included), with 3 when it would not.")]
pub struct Check {}

pub fn run(globals: &Globals) -> Result<(), Failed> {
    let language = globals.lang();
    let show = out::Show { json: globals.json, language };
    let (good, problems) = match Config::load(&globals.config) {
        Ok(config) => {
            let counts = (config.lines.len(), config.products.len());
            (Some(counts), config.warnings)
        }
        Err(problems) => (None, problems),
    };
    let value = serde_json::json!({ "good": good.is_some(), "problems": problems.json(language) });
    show.print(&value, |text| {
        if !problems.is_empty() {
            text.line(&problems.render(language));
        }
        if let Some((lines, products)) = good {
            let file = globals.config.display().to_string();
            let args =
                [("file", file.as_str()), ("lines", &lines.to_string()), ("products", &products.to_string())];
            let key = if problems.is_empty() { "cli.check.ok" } else { "cli.check.warnings" };
            text.say(key, &args);
        }
    });
    good.map(|_| ()).ok_or_else(|| Failed::quietly(Exit::Config))
}
