//! Code 128 as `^BC` draws it: field data to the characters of the symbol, and what a reader gives for them.
//!
//! Written from the ZPL II guide's table of invocation characters and ISO/IEC 15417. Only the mode without automatic
//! (`N`) is known: for the others nothing readable is drawn.

use super::zpl::number;

/// What `^BC` was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code128 {
    manual: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    A,
    B,
    C,
}

/// The values of the symbol's characters that are no data.
const SHIFT: u8 = 98;
const TO_C: u8 = 99;
const TO_B: u8 = 100;
const TO_A: u8 = 101;
const FNC1: u8 = 102;

impl Code128 {
    /// Parses `o,h,f,g,e,m`.
    pub fn parse(params: &[u8]) -> Code128 {
        let mode = params.split(|&b| b == b',').nth(5).and_then(|part| part.first());
        Code128 { manual: mode.is_none_or(|mode| mode.eq_ignore_ascii_case(&b'N')) }
    }

    /// What a reader gives for the symbol of these field data, with its symbology identifier: `]C1` where FNC1 comes first,
    /// else `]C0`. `None`: no such symbol, or one that no reader reads.
    pub fn read(&self, data: &[u8]) -> Option<Vec<u8>> {
        if !self.manual {
            return None;
        }
        let (mut set, values) = values(data)?;
        let is_gs1 = values.first() == Some(&FNC1);
        let mut read = if is_gs1 { b"]C1".to_vec() } else { b"]C0".to_vec() };
        for value in values.into_iter().skip(usize::from(is_gs1)) {
            match (set, value) {
                (_, FNC1) => read.push(0x1D),
                (Set::C, 0..=99) => read.extend(format!("{value:02}").bytes()),
                (Set::A | Set::C, TO_B) => set = Set::B,
                (Set::B | Set::C, TO_A) => set = Set::A,
                (Set::A | Set::B, TO_C) => set = Set::C,
                (Set::A, 64..=95) => read.push(value - 64),
                (Set::A, 0..=63) | (Set::B, 0..=95) => read.push(value + 32),
                _ => return None,
            }
        }
        (read.len() > 3).then_some(read)
    }
}

/// The set that the symbol starts in, and the values of its characters.
fn values(data: &[u8]) -> Option<(Set, Vec<u8>)> {
    let (start, mut rest) = match data {
        [b'>', b'9', rest @ ..] => (Set::A, rest),
        [b'>', b':', rest @ ..] => (Set::B, rest),
        [b'>', b';', rest @ ..] => (Set::C, rest),
        rest => (Set::B, rest),
    };
    let mut set = start;
    let mut values = Vec::new();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte == b'>' {
            let [invoked, tail @ ..] = rest else { return None };
            rest = tail;
            let value = match invoked {
                b'<' => 62,
                b'0' => 30,
                b'=' => 94,
                b'1'..=b'8' => 95 + (invoked - b'1'),
                _ => return None,
            };
            match (set, value) {
                (_, SHIFT) => return None,
                (Set::A | Set::B, TO_C) => set = Set::C,
                (Set::A | Set::C, TO_B) => set = Set::B,
                (Set::B | Set::C, TO_A) => set = Set::A,
                _ => {}
            }
            values.push(value);
            continue;
        }
        match set {
            Set::B => values.push(byte.checked_sub(32).filter(|value| *value < 96)?),
            // Pairs of digits; what is no digit is passed over, and so is a digit without its second.
            Set::A | Set::C => {
                let second = rest.first().filter(|b| b.is_ascii_digit()).filter(|_| byte.is_ascii_digit());
                if let Some(second) = second {
                    let value = number(&[*byte, *second]).and_then(|n| u8::try_from(n).ok())?;
                    values.push(value);
                    rest = &rest[1..];
                }
            }
        }
    }
    Some((start, values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_gives_what_the_field_says() {
        let table: [(&str, Option<&[u8]>); 8] = [
            (">;>800376104250021234569", Some(b"]C100376104250021234569")),
            // The last digit has no second: it is not drawn.
            (">;>80037610425002123456", Some(b"]C1003761042500212345")),
            (">;1234", Some(b"]C01234")),
            (">:CODE128", Some(b"]C0CODE128")),
            ("CODE128", Some(b"]C0CODE128")),
            (">:>810AB>81712", Some(b"]C110AB\x1d1712")),
            (">:A>51234>6B", Some(b"]C0A1234B")),
            (">;", None),
        ];
        for (field, expected) in table {
            assert_eq!(
                Code128::parse(b"N,90,N,N,N,N").read(field.as_bytes()).as_deref(),
                expected,
                "{field}"
            );
        }
        assert_eq!(Code128::parse(b"N,90,N,N,N,D").read(b"1234"), None);
    }
}
