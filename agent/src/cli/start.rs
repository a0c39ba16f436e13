//! `tamga run start`: opens a run and sets it running. Says what it will do, asks nothing.

use clap::Args;
use tamga_domain::day::Zone;

use super::daemon::Daemon;
use super::out::{Show, or_dash};
use super::{Failed, run};
use crate::clock;
use crate::web::text::declared;
use crate::web::{asks, dto};

/// Open a run and set it running
#[derive(Args)]
#[command(after_help = "Example:
  tamga run start line1 --gtin 04600000000015 --batch A-17 --quantity 5000 \\
      --production 2026-11-22 --expiry 2027-11-22

Dates are days of the plant; RFC 3339, such as 2026-11-22T08:30:00+05:00, means the day in which it lies.
Asking again with the same --key opens no second run.")]
pub struct Start {
    /// The line's name in the configuration
    line: String,
    /// The product: 14 digits
    #[arg(long)]
    gtin: String,
    /// The batch or series
    #[arg(long)]
    batch: String,
    /// How many good items; 0 = until stopped
    #[arg(long, default_value_t = 0)]
    quantity: u32,
    /// The day of production [default: today]
    #[arg(long, value_name = "DATE", value_parser = date)]
    production: Option<String>,
    /// The day on which it expires
    #[arg(long, value_name = "DATE", value_parser = date)]
    expiry: Option<String>,
    /// The goods were made before their codes were ordered (the state system may refuse their reports)
    #[arg(long)]
    before_order: bool,
    /// The product group, for a product that the configuration does not know
    #[arg(long)]
    group: Option<String>,
    /// Your own key for this run, such as an order number of the plant [default: made from time and chance]
    #[arg(long)]
    key: Option<String>,
}

fn date(text: &str) -> Result<String, String> {
    // The zone is the daemon's to know: here it is only seen whether the text is a date at all.
    let known = declared(text, Zone::UTC).map(|_| text.trim().to_owned());
    known.ok_or_else(|| "a date as 2026-11-22 or 2026-11-22T08:30:00+05:00".to_owned())
}

pub async fn run(daemon: &Daemon, show: Show, command: Start) -> Result<(), Failed> {
    let key = command.key.unwrap_or_else(|| format!("cli-{}-{:016x}", clock::wall().0, fastrand::u64(..)));
    let body = asks::StartRun {
        key: Some(key),
        gtin: command.gtin,
        group: command.group,
        quantity: command.quantity,
        batch: command.batch,
        production: command.production,
        expiry: command.expiry,
        before_order: command.before_order,
    };
    if !show.json {
        show.print(&body, |text| {
            let quantity = match body.quantity {
                0 => text.word("cli.until_stopped"),
                some => some.to_string(),
            };
            text.say("cli.starting", &[("line", &command.line)]);
            text.fields(&[
                ("cli.l_product", body.gtin.clone()),
                ("cli.l_batch", body.batch.clone()),
                ("cli.l_quantity", quantity),
                ("cli.l_production", or_dash(body.production.as_ref())),
                ("cli.l_expiry", or_dash(body.expiry.as_ref())),
                ("cli.l_key", or_dash(body.key.as_ref())),
            ]);
        });
    }
    let done: dto::Done = daemon.post(&run::path(&command.line, ""), &body).await?;
    let letters = unusual(&body.batch);
    show.print(&done, |text| {
        let run = match &done {
            dto::Done::Opened { run, .. } => run.to_string(),
            dto::Done::Done | dto::Done::Closing { .. } => "–".to_owned(),
        };
        text.say("cli.started", &[("run", &run), ("line", &command.line)]);
        if !letters.is_empty() {
            text.say("cli.batch_letters", &[("letters", &letters)]);
        }
    });
    Ok(())
}

/// The characters of a batch that look like others and are not: Cyrillic ones, for the most part. They are allowed, so
/// a person is told and not refused. Each once, in their order.
fn unusual(batch: &str) -> String {
    let mut found = String::new();
    for c in batch.chars().filter(|c| !matches!(c, ' '..='~')) {
        if !found.contains(c) {
            found.push(c);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_only_look_latin_are_found() {
        assert_eq!(unusual("B-17/a_2 (x)"), "");
        // The first letter is Cyrillic.
        assert_eq!(unusual("\u{412}-17 Р\u{412}"), "\u{412}Р");
    }
}
