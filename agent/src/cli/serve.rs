//! `tamga serve`: the daemon. Only the arguments are here; the wiring is [`crate::run`].

use clap::Args;

use super::exit::Exit;
use super::{Failed, Globals, daemon, out};
use crate::store::error::StoreError;
use crate::web::text::chain;

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
    drop(config);
    crate::run::serve(&globals.config).map_err(|error| {
        tracing::error!(error = chain(error.as_ref()), "the daemon ends");
        Failed::quietly(exit_of(error.as_ref()))
    })
}

/// What the service manager is told: some ends are not mended by starting again.
fn exit_of(error: &(dyn std::error::Error + 'static)) -> Exit {
    let mut cause = Some(error);
    while let Some(one) = cause {
        if let Some(StoreError::OtherMachine) = one.downcast_ref::<StoreError>() {
            return Exit::OtherMachine;
        }
        cause = one.source();
    }
    Exit::Internal
}
