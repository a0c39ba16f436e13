//! How readers of the known makers talk when they leave the box. Every part of it can be set in the maker's own tool,
//! so every part can be set in the configuration too; a preset only fills in what is not said there.
//!
//! Sources: `readers-cameras-plc.md` section 1. No-read texts are often the least certain part: see what the reader
//! sends (`tamga trace`), then write it down in `no_read`.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    Generic,
    Cognex,
    Keyence,
    Datalogic,
    Sick,
    Omron,
    Hikrobot,
}

/// What a preset fills in.
pub struct Framing {
    pub header: &'static [u8],
    pub terminator: &'static [u8],
    pub no_read: &'static [&'static [u8]],
    pub setup: &'static [&'static [u8]],
}

impl Preset {
    pub const ALL: [Preset; 7] = [
        Preset::Generic,
        Preset::Cognex,
        Preset::Keyence,
        Preset::Datalogic,
        Preset::Sick,
        Preset::Omron,
        Preset::Hikrobot,
    ];

    pub fn key(self) -> &'static str {
        match self {
            Preset::Generic => "generic",
            Preset::Cognex => "cognex",
            Preset::Keyence => "keyence",
            Preset::Datalogic => "datalogic",
            Preset::Sick => "sick",
            Preset::Omron => "omron",
            Preset::Hikrobot => "hikrobot",
        }
    }

    /// The port on which the maker's readers listen.
    pub fn port(self) -> Option<u16> {
        match self {
            Preset::Generic => None,
            Preset::Cognex => Some(23),
            Preset::Keyence => Some(9004),
            Preset::Datalogic => Some(51_236),
            Preset::Sick => Some(2112),
            Preset::Omron | Preset::Hikrobot => Some(2001),
        }
    }

    pub fn framing(self) -> Framing {
        let lines = |no_read| Framing { header: b"", terminator: b"\r\n", no_read, setup: &[] };
        match self {
            Preset::Generic => lines(&[b"NOREAD", b"NoRead", b"ERROR"]),
            Preset::Cognex => lines(&[b"NOREAD", b"NO READ", b""]),
            Preset::Keyence => Framing { terminator: b"\r", ..lines(&[b"ERROR"]) },
            Preset::Datalogic => Framing { header: b"\x02", ..lines(&[b"\x18", b"NOREAD"]) },
            Preset::Sick => Framing { header: b"\x02", terminator: b"\x03", ..lines(&[b"NoRead"]) },
            Preset::Omron => lines(&[b"NOREAD"]),
            Preset::Hikrobot => lines(&[b"NoRead"]),
        }
    }
}
