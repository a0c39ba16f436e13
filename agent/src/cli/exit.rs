//! Exit codes. They are stable: scripts of the plant depend on them.

use std::process::ExitCode;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// The line or station refused, or something is not healthy.
    Refused = 1,
    /// The command line was not understood.
    Usage = 2,
    /// The configuration has problems.
    Config = 3,
    /// No daemon answers.
    NoDaemon = 4,
    /// The daemon does not let this user in.
    NotAuthorised = 5,
    /// There is no such line, station, run, code, pack, device or alarm.
    NotFound = 6,
    /// A fault of this computer or of the program.
    Internal = 7,
    /// The data folder belongs to another machine: nothing starts until a person has settled it.
    OtherMachine = 8,
    /// The database is damaged: nothing starts until a person has looked.
    Damaged = 9,
}

impl Exit {
    /// What a status of the API means for a script.
    pub fn of_status(status: u16) -> Exit {
        match status {
            200..=299 => Exit::Ok,
            401 | 403 => Exit::NotAuthorised,
            404 => Exit::NotFound,
            409 => Exit::Refused,
            400..=499 => Exit::Usage,
            _ => Exit::Internal,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// For the end of `tamga --help`.
pub const HELP: &str = "\
Exit codes:
  0  done
  1  refused by the line or station, or not healthy
  2  the command line was not understood
  3  the configuration has problems
  4  no daemon answers
  5  not authorised
  6  no such line, station, run, code, pack, device or alarm
  7  a fault of this computer or of the program
  8  the data folder belongs to another machine
  9  the database is damaged

Example:
  tamga --lang ru status";
