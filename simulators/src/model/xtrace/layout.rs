//! How a code of each product group is formed, and how an identity is found in a string.
//!
//! Knows nothing of states or orders. Written from the decrees, not from the agent's parser.

use super::base64;
use super::settings::CisType;

/// Group separator: closes an element string of variable length.
pub const GS: char = '\u{1d}';

/// The 82 characters that GS1 allows in a serial number (AI 21).
pub const SERIAL_ALPHABET: &[u8; 82] =
    br#"!"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"#;

const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Pieces that broke clients in the field: AI digits inside, quotes and apostrophes at the ends.
const TRAPS: [&str; 8] = ["93", "91", "92", "01", "21", "''", "\"", "<&"];

/// The verification part behind the serial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// GS, AI 93, 4 characters.
    Short,
    /// GS, AI 91, 4 characters, GS, AI 92, 44 characters of base64.
    Long,
    /// 8 characters with no AI and no GS; then GTIN and serial have no AIs either.
    Bare,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    pub serial_chars: usize,
    pub tail: Tail,
}

/// The layout of a product group; groups that no published table names get 13 characters and the long tail.
pub fn layout(product_group: &str, cis_type: CisType) -> Layout {
    match (product_group, cis_type) {
        ("water" | "softdrinks", _) => Layout { serial_chars: 13, tail: Tail::Short },
        ("beer" | "alcohol" | "nabeer", _) => Layout { serial_chars: 7, tail: Tail::Short },
        ("appliances" | "electronics", _) => Layout { serial_chars: 20, tail: Tail::Long },
        ("tobacco", CisType::Unit) => Layout { serial_chars: 7, tail: Tail::Bare },
        ("tobacco", _) => Layout { serial_chars: 7, tail: Tail::Short },
        _ => Layout { serial_chars: 13, tail: Tail::Long },
    }
}

/// A random serial; one in eight carries a piece that careless parsers trip over.
pub fn serial(layout: Layout, rng: &mut fastrand::Rng) -> String {
    let mut serial: Vec<u8> = (0..layout.serial_chars).map(|_| pick(SERIAL_ALPHABET, rng)).collect();
    if rng.u8(..8) == 0 {
        let trap = TRAPS[rng.usize(..TRAPS.len())].as_bytes();
        let last = serial.len() - trap.len();
        let at = [0, last, rng.usize(..=last)][rng.usize(..3)];
        serial[at..at + trap.len()].copy_from_slice(trap);
    }
    serial.into_iter().map(char::from).collect()
}

/// Forms identity and full code from GTIN and serial; the tail is drawn.
pub fn form(layout: Layout, gtin: &str, serial: &str, rng: &mut fastrand::Rng) -> (String, String) {
    let identity = match layout.tail {
        Tail::Bare => format!("{gtin}{serial}"),
        Tail::Short | Tail::Long => format!("01{gtin}21{serial}"),
    };
    let tail = match layout.tail {
        Tail::Bare => letters(8, rng),
        Tail::Short => format!("{GS}93{}", letters(4, rng)),
        Tail::Long => {
            let signature: Vec<u8> = (0..32).map(|_| rng.u8(..)).collect();
            format!("{GS}91{}{GS}92{}", letters(4, rng), base64::encode(&signature))
        }
    };
    let full = format!("{identity}{tail}");
    (identity, full)
}

/// Damages a code in one of the ways seen in packs and files.
pub fn malform(full: &str, rng: &mut fastrand::Rng) -> String {
    let chars: Vec<char> = full.chars().collect();
    let mut damaged = chars.clone();
    match rng.u8(..4) {
        0 => {
            damaged.pop();
        }
        1 => damaged.push('A'),
        2 => damaged[chars.len() - 1] = 'А', // Cyrillic
        _ => {
            let at = rng.usize(18..20);
            damaged.remove(at);
        }
    }
    damaged.into_iter().collect()
}

/// The identity that a full code would have: up to the first GS, or 21 characters where there is none.
pub fn identity_of(full: &str) -> Option<&str> {
    match full.split_once(GS) {
        Some((identity, _)) => Some(identity),
        None => full.get(..21),
    }
}

/// Whether the mod-10 check digit of a GTIN or SSCC is right.
pub fn check_digit_is_right(digits: &str) -> bool {
    let bytes = digits.as_bytes();
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let sum: u32 = bytes
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| u32::from(digit - b'0') * if at % 2 == 1 { 3 } else { 1 })
        .sum();
    sum.is_multiple_of(10)
}

/// Whether the string is a transport code: `00` and an SSCC with its check digit.
pub fn is_transport_code(code: &str) -> bool {
    code.len() == 20 && code.starts_with("00") && check_digit_is_right(&code[2..])
}

/// A random UUID of version 4 in lower case.
pub fn uuid(rng: &mut fastrand::Rng) -> String {
    let value = (rng.u128(..) & !(0xf << 76) & !(0x3 << 62)) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{value:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn letters(count: usize, rng: &mut fastrand::Rng) -> String {
    (0..count).map(|_| char::from(pick(LETTERS, rng))).collect()
}

fn pick(from: &[u8], rng: &mut fastrand::Rng) -> u8 {
    from[rng.usize(..from.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_has_the_length_of_its_decree() {
        let mut rng = fastrand::Rng::with_seed(1);
        for (group, full_chars, identity_chars) in [
            ("beer", 32, 25),
            ("tobacco", 29, 21),
            ("water", 38, 31),
            ("pharma", 85, 31),
            ("appliances", 92, 38),
        ] {
            let layout = layout(group, CisType::Unit);
            let serial = serial(layout, &mut rng);
            let (identity, full) = form(layout, "04780000000014", &serial, &mut rng);
            assert_eq!((full.len(), identity.len()), (full_chars, identity_chars), "{group}");
            assert_eq!(identity_of(&full), Some(identity.as_str()), "{group}");
        }
    }

    #[test]
    fn serials_use_all_82_characters() {
        let mut rng = fastrand::Rng::with_seed(2);
        let layout = layout("water", CisType::Unit);
        let seen: std::collections::BTreeSet<u8> =
            (0..2000).flat_map(|_| serial(layout, &mut rng).into_bytes()).collect();
        assert_eq!(seen, SERIAL_ALPHABET.iter().copied().collect());
    }

    #[test]
    fn check_digits() {
        // GTINs of the published examples; an SSCC from the GS1 General Specifications.
        for good in ["04899215122371", "04780101164394", "106141412345678908"] {
            assert!(check_digit_is_right(good), "{good}");
        }
        for bad in ["04899215122372", "", "0489921512237x"] {
            assert!(!check_digit_is_right(bad), "{bad}");
        }
        assert!(is_transport_code("00106141412345678908"));
    }
}
