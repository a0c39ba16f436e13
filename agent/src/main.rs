//! The `tamga` program: what must stand before everything else, and then the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    abort_on_panic();
    // Without a provider no TLS client can be made. It fails only where one is set already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tamga::cli::main()
}

/// A panic is a bug of ours, and half a daemon must not go on: it is told and the process ends. Starting again is
/// the one way of recovery.
fn abort_on_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        std::process::abort();
    }));
}
