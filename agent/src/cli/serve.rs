//! `tamga serve`: the daemon. Only the arguments are here; the wiring is [`crate::run`].

use std::sync::Arc;

use clap::Args;

use super::exit::Exit;
use super::{Failed, Globals, daemon, out};
use crate::run::Failure;
use crate::store::error::StoreError;
use crate::web::text::chain;
use crate::words;

/// Run the daemon until it is told to end
#[derive(Args)]
#[command(after_help = "Example:
  tamga --config /etc/tamga/line.toml serve

It stays in the foreground and logs to stderr; systemd starts it (see systemd/tamga.service).")]
pub struct Serve {}

pub fn run(globals: &Globals) -> Result<(), Failed> {
    // A first look, so that problems of the configuration are told as `check` tells them.
    let config = daemon::load(&globals.config, globals.lang())?;
    out::log(config.log.level.key(), config.log.json);
    let language = config.agent.language;
    drop(config);
    crate::run::serve(&globals.config).map_err(|error| {
        tracing::error!(error = chain(error.as_ref()), "the daemon ends");
        let exit = exit_of(error.as_ref());
        if exit == Exit::Damaged {
            tracing::error!("{}", words::say(language, "db.damaged", &[("why", &chain(error.as_ref()))]));
        }
        Failed::quietly(exit)
    })
}

/// What the service manager is told: some ends are not mended by starting again.
fn exit_of(error: &(dyn std::error::Error + 'static)) -> Exit {
    let mut cause = Some(error);
    while let Some(one) = cause {
        // The writer shares its error with all whose commits it took.
        let shared = one.downcast_ref::<Arc<StoreError>>().map(AsRef::as_ref);
        match (one.downcast_ref::<StoreError>().or(shared), one.downcast_ref::<Failure>()) {
            (Some(StoreError::OtherMachine), _) => return Exit::OtherMachine,
            (Some(error), _) if error.is_damage() => return Exit::Damaged,
            (_, Some(Failure::Damaged { .. })) => return Exit::Damaged,
            _ => cause = one.source(),
        }
    }
    Exit::Internal
}
