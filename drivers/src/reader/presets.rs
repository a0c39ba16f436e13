//! What each vendor's readers usually say: `facts/readers-cameras-plc.md` §1.
//!
//! A preset is where an integrator begins, never what a reader must be: all of it can be changed on
//! the device. Ports and no-read texts marked as inferred there are so here too.

use super::text::TextConfig;

/// Who calls whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// We call the reader.
    Call,
    /// The reader calls us.
    Listen,
    /// A serial line.
    Serial,
}

/// A vendor's usual settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    /// Its name in configuration.
    pub name: &'static str,
    /// Who calls whom.
    pub role: Role,
    /// TCP port, or baud for a serial line.
    pub port: u32,
    /// The words.
    pub config: TextConfig,
}

/// All names that [`preset`] knows, in the order of the manual.
pub const NAMES: [&str; 11] = [
    "generic",
    "dataman",
    "dataman_push",
    "insight",
    "keyence_sr",
    "keyence_sr_stx",
    "datalogic",
    "sick",
    "omron",
    "hikrobot",
    "handheld",
];

/// Finds a preset by its name.
pub fn preset(name: &str) -> Option<Preset> {
    let name = *NAMES.iter().find(|known| **known == name)?;
    let (role, port, config) = match name {
        // DMCC is silent by default, so an answer to the trigger is not waited for; `||…` lines are
        // answers of the extended response mode (manualslib 2077577, pages 18 and 19).
        "dataman" => (
            Role::Call,
            23,
            TextConfig {
                trigger: text("||>TRIGGER ON\r\n"),
                answers: texts(&["||"]),
                telnet: true,
                ..TextConfig::default()
            },
        ),
        "dataman_push" => (Role::Listen, 3000, TextConfig::default()),
        // The TCPServer cell function: port 3000, "String CR+LF"; one connection at a time.
        "insight" => (Role::Call, 3000, TextConfig::default()),
        "keyence_sr" => (Role::Call, 9004, keyence("", "\r", "LON\r")),
        "keyence_sr_stx" => (Role::Call, 9004, keyence("\x02", "\x03", "\x02LON\x03")),
        // Framing and no-read text inferred: CAN (0x18) for no read.
        "datalogic" => (
            Role::Call,
            51236,
            TextConfig {
                header: b"\x02".to_vec(),
                no_read: texts(&["\x18", "NoRead"]),
                ..TextConfig::default()
            },
        ),
        // CoLa A: answers `sAN`, errors `sFA`, results as they are, all between STX and ETX.
        "sick" => (
            Role::Call,
            2112,
            TextConfig {
                header: b"\x02".to_vec(),
                terminator: b"\x03".to_vec(),
                no_read: texts(&["NoRead"]),
                answers: texts(&["sAN ", "sRA ", "sWA ", "sEA "]),
                errors: texts(&["sFA"]),
                trigger: text("\x02sMN mTCgateon\x03"),
                ..TextConfig::default()
            },
        ),
        // MicroHAWK and V430: trigger `< >` (3C 20 3E), results end CR LF, K commands answer `<K…>`.
        "omron" => (
            Role::Call,
            2001,
            TextConfig {
                no_read: texts(&["NOREAD"]),
                answers: texts(&["<K"]),
                trigger: text("< >"),
                ..TextConfig::default()
            },
        ),
        "hikrobot" => (
            Role::Call,
            2001,
            TextConfig { no_read: texts(&["NoRead"]), trigger: text("start"), ..TextConfig::default() },
        ),
        // RS-232 and USB-serial hand-helds: no header, CR LF.
        "handheld" => (Role::Serial, 9600, TextConfig { no_read: Vec::new(), ..TextConfig::default() }),
        _ => (Role::Call, 2001, TextConfig::default()),
    };
    Some(Preset { name, role, port, config })
}

fn keyence(header: &str, terminator: &str, trigger: &str) -> TextConfig {
    TextConfig {
        header: header.as_bytes().to_vec(),
        terminator: terminator.as_bytes().to_vec(),
        no_read: texts(&["ERROR"]),
        answers: texts(&["OK,"]),
        errors: texts(&["ER,"]),
        trigger: text(trigger),
        ..TextConfig::default()
    }
}

fn text(words: &str) -> Option<Vec<u8>> {
    Some(words.as_bytes().to_vec())
}

fn texts(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::text::TextReader;

    #[test]
    fn every_preset_has_a_framing_that_works() {
        for name in NAMES {
            let preset = preset(name).unwrap();
            assert_eq!(preset.name, name);
            assert!(TextReader::new(preset.config).is_ok(), "{name}");
        }
        assert!(preset("nobody").is_none());
    }
}
