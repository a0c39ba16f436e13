//! GS1 element strings of logistic labels: boxes, pallets, price parts.
//!
//! Marking codes are never read with this: their layouts are exact, and an element string is read
//! by its separators, which a layout does not trust (see [`crate::layout`]). Only the AIs named in
//! [`AIS`] are known; an unknown one ends the reading, for its length cannot be guessed.

use std::fmt;

use thiserror::Error;

use Extent::{Fixed, Predefined, UpTo};

use super::{FNC1_CODEWORD, GS, check_digit, first_alien};

/// Longest string read, in bytes. A GS1-128 holds 48, a GS1 DataMatrix label some hundreds.
pub const LEN_MAX: usize = 512;

/// How the value of an AI is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Exactly so many characters, and no separator needed after it ("predefined length").
    Predefined(usize),
    /// Exactly so many characters, with a separator after it unless last.
    Fixed(usize),
    /// One to so many characters, with a separator after it unless last.
    UpTo(usize),
}

/// One application identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ai {
    pub digits: &'static str,
    pub extent: Extent,
    /// Digits only; otherwise the 82-character alphabet.
    pub numeric: bool,
    /// The last digit is a check digit.
    pub checked: bool,
}

/// The AIs of marking codes and of the labels around them: GS1 General Specifications 3.2.
///
/// No entry's digits begin another's, so the first that fits is the one.
pub static AIS: [Ai; 19] = [
    ai("00", Predefined(18), true, true),   // SSCC
    ai("01", Predefined(14), true, true),   // GTIN
    ai("02", Predefined(14), true, true),   // GTIN of the content
    ai("10", UpTo(20), false, false),       // batch
    ai("11", Predefined(6), true, false),   // production date, YYMMDD
    ai("13", Predefined(6), true, false),   // packing date, YYMMDD
    ai("15", Predefined(6), true, false),   // best before, YYMMDD
    ai("17", Predefined(6), true, false),   // expiry, YYMMDD
    ai("20", Predefined(2), true, false),   // variant
    ai("21", UpTo(20), false, false),       // serial
    ai("240", UpTo(30), false, false),      // additional product identification
    ai("3103", Predefined(6), true, false), // net weight, grams
    ai("3353", Predefined(6), true, false), // logistic volume, millilitres
    ai("37", UpTo(8), true, false),         // count of the content
    ai("7003", Fixed(10), true, false),     // expiry, YYMMDDhhmm
    ai("8005", Fixed(6), true, false),      // price of a unit
    ai("91", UpTo(90), false, false),       // verification key, company-internal in GS1
    ai("92", UpTo(90), false, false),       // verification value, likewise
    ai("93", UpTo(90), false, false),       // verification value, likewise
];

const fn ai(digits: &'static str, extent: Extent, numeric: bool, checked: bool) -> Ai {
    Ai { digits, extent, numeric, checked }
}

/// One AI with its value. `Debug` masks it: an element string may be a whole marking code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    pub ai: Ai,
    pub value: &'a [u8],
}

impl fmt::Debug for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Element(({}) {} bytes, masked)", self.ai.digits, self.value.len())
    }
}

/// Reads an element string, after an optional AIM prefix and leading FNC1.
pub fn parse(read: &[u8]) -> Result<Vec<Element<'_>>, ElementError> {
    if read.len() > LEN_MAX {
        return Err(ElementError::TooLong { got: read.len() });
    }
    let mut at = if read.first() == Some(&b']') { 3 } else { 0 };
    if let Some(&(GS | FNC1_CODEWORD)) = read.get(at) {
        at += 1;
    }
    let mut elements = Vec::new();
    // Each turn consumes at least the AI's digits, so the loop ends.
    while let Some(rest) = read.get(at..).filter(|rest| !rest.is_empty()) {
        let ai = known(rest).ok_or(ElementError::UnknownAi { at })?;
        at += ai.digits.len();
        let rest = &rest[ai.digits.len()..];
        let closed = rest.iter().position(|byte| *byte == GS).unwrap_or(rest.len());
        let len = match ai.extent {
            Extent::Predefined(len) => len.min(closed),
            Extent::Fixed(_) | Extent::UpTo(_) => closed,
        };
        let value = &rest[..len];
        check(ai, value).map_err(|fault| ElementError::Value { at, ai: ai.digits, fault })?;
        elements.push(Element { ai, value });
        at += len;
        // After a predefined length a separator is not needed and not wrong.
        if read.get(at) == Some(&GS) {
            at += 1;
        }
    }
    Ok(elements)
}

/// Renders AIs and values, with a separator wherever one is needed; no leading FNC1.
pub fn render(elements: &[(&str, &[u8])]) -> Result<Vec<u8>, ElementError> {
    let mut out = Vec::new();
    let mut open = false;
    for (digits, value) in elements {
        let at = out.len();
        let ai = known(digits.as_bytes()).filter(|ai| ai.digits.len() == digits.len());
        let ai = ai.ok_or(ElementError::UnknownAi { at })?;
        check(ai, value).map_err(|fault| ElementError::Value { at, ai: ai.digits, fault })?;
        if open {
            out.push(GS);
        }
        out.extend_from_slice(ai.digits.as_bytes());
        out.extend_from_slice(value);
        open = !matches!(ai.extent, Extent::Predefined(_));
    }
    if out.len() > LEN_MAX { Err(ElementError::TooLong { got: out.len() }) } else { Ok(out) }
}

fn known(rest: &[u8]) -> Option<Ai> {
    AIS.iter().find(|ai| rest.starts_with(ai.digits.as_bytes())).copied()
}

fn check(ai: Ai, value: &[u8]) -> Result<(), ValueFault> {
    let fits = match ai.extent {
        Extent::Predefined(len) | Extent::Fixed(len) => value.len() == len,
        Extent::UpTo(len) => (1..=len).contains(&value.len()),
    };
    if !fits {
        return Err(ValueFault::Length { got: value.len() });
    }
    let known = if ai.numeric { value.iter().all(u8::is_ascii_digit) } else { first_alien(value).is_none() };
    if !known {
        return Err(ValueFault::Characters);
    }
    match value.split_last() {
        Some((last, body)) if ai.checked && check_digit(body) != Some(*last) => Err(ValueFault::CheckDigit),
        _ => Ok(()),
    }
}

/// What is wrong with one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueFault {
    Length { got: usize },
    Characters,
    CheckDigit,
}

impl fmt::Display for ValueFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueFault::Length { got } => write!(f, "it has {got} characters, which is not its length"),
            ValueFault::Characters => f.write_str("it holds characters that cannot stand in it"),
            ValueFault::CheckDigit => f.write_str("its check digit is wrong"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ElementError {
    #[error("{got} characters are too many for an element string")]
    TooLong { got: usize },
    #[error("no known application identifier stands at character {}", at + 1)]
    UnknownAi { at: usize },
    #[error("the value of ({ai}) at character {} is wrong: {fault}", at + 1)]
    Value { at: usize, ai: &'static str, fault: ValueFault },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs<'a>(elements: &[Element<'a>]) -> Vec<(&'static str, &'a [u8])> {
        elements.iter().map(|element| (element.ai.digits, element.value)).collect()
    }

    #[test]
    fn no_ai_begins_another() {
        for a in AIS {
            let begun = AIS.iter().filter(|b| b.digits.starts_with(a.digits)).count();
            assert_eq!(begun, 1, "{}", a.digits);
        }
    }

    #[test]
    fn labels_parse() {
        // A pallet label: content, count, expiry, batch, in two orders of separators.
        let read = b"]C102048702167600073724\x1d1727013110LOT/1";
        let wanted: Vec<(&str, &[u8])> =
            vec![("02", b"04870216760007"), ("37", b"24"), ("17", b"270131"), ("10", b"LOT/1")];
        assert_eq!(pairs(&parse(read).unwrap()), wanted);
        assert_eq!(render(&wanted).unwrap(), read[3..]);
        let box_label = b"\x1d00376104250021234569\x1d3103012500";
        let wanted: Vec<(&str, &[u8])> = vec![("00", b"376104250021234569"), ("3103", b"012500")];
        assert_eq!(pairs(&parse(box_label).unwrap()), wanted);
        // The published soft-drink code is a well-formed element string as well.
        let code = parse(b"010489921512237121U&U1+<cfOUoZf\x1d93UehU").unwrap();
        assert_eq!(pairs(&code)[2], ("93", &b"UehU"[..]));
    }

    #[test]
    fn wrong_strings_are_refused_with_the_place() {
        let value = |at, ai, fault| ElementError::Value { at, ai, fault };
        let table: [(&[u8], ElementError); 6] = [
            (b"9912", ElementError::UnknownAi { at: 0 }),
            (b"1727013199", ElementError::UnknownAi { at: 8 }),
            (b"17270", value(2, "17", ValueFault::Length { got: 3 })),
            (b"3712a", value(2, "37", ValueFault::Characters)),
            (b"10", value(2, "10", ValueFault::Length { got: 0 })),
            (b"0204870216760008", value(2, "02", ValueFault::CheckDigit)),
        ];
        for (read, error) in table {
            assert_eq!(parse(read), Err(error));
        }
        assert_eq!(parse(&[b'1'; 513]), Err(ElementError::TooLong { got: 513 }));
        assert_eq!(render(&[("1", b"a")]), Err(ElementError::UnknownAi { at: 0 }));
    }

    fn element() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
        proptest::sample::select(AIS.to_vec()).prop_flat_map(|ai| {
            let (min, max) = match ai.extent {
                Extent::Predefined(len) | Extent::Fixed(len) => (len, len),
                Extent::UpTo(len) => (1, len),
            };
            let alphabet: Vec<u8> = (0..=255)
                .filter(
                    |byte: &u8| {
                        if ai.numeric { byte.is_ascii_digit() } else { crate::gs1::is_gs1_char(*byte) }
                    },
                )
                .collect();
            proptest::collection::vec(proptest::sample::select(alphabet), min..=max).prop_map(
                move |mut value| {
                    if let (true, Some((last, body))) = (ai.checked, value.split_last_mut()) {
                        *last = check_digit(body).unwrap();
                    }
                    (ai.digits, value)
                },
            )
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn parse_undoes_render(elements in proptest::collection::vec(element(), 0..5)) {
            let given: Vec<(&str, &[u8])> = elements.iter().map(|(ai, value)| (*ai, value.as_slice())).collect();
            let rendered = render(&given).unwrap();
            prop_assert_eq!(pairs(&parse(&rendered).unwrap()), given);
        }

        #[test]
        fn any_bytes_parse_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60), text in "[0-9\x1d]{0,60}") {
            let _ = parse(&bytes);
            let _ = parse(text.as_bytes());
        }
    }
}
