//! Serial shipping container codes: the names of boxes and pallets, and the ranges they are taken
//! from.
//!
//! Taking a number is pure: it returns the number and the range that is left. That no number is
//! taken twice is the store's duty (the range is committed before the number is printed) and the
//! witness's (invariant 1).

use std::fmt;

use thiserror::Error;

use crate::gs1::{FNC1_CODEWORD, GS, check_digit};

/// The application identifier in front of an SSCC.
const AI_SSCC: &[u8] = b"00";

/// 18 digits: extension digit, company prefix, serial reference, check digit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sscc([u8; Sscc::LEN]);

impl Sscc {
    pub const LEN: usize = 18;

    /// Parses exactly 18 digits with a right check digit.
    pub fn parse(digits: &[u8]) -> Result<Sscc, SsccError> {
        let digits: [u8; Sscc::LEN] =
            digits.try_into().map_err(|_| SsccError::Length { got: digits.len() })?;
        match check_digit(&digits[..Sscc::LEN - 1]) {
            Some(wanted) if wanted == digits[Sscc::LEN - 1] => Ok(Sscc(digits)),
            Some(_) if digits[Sscc::LEN - 1].is_ascii_digit() => Err(SsccError::BadCheckDigit),
            _ => Err(SsccError::NotDigits),
        }
    }

    /// Parses what a scanner reads on a box: 18 digits or `00` and 18, after an optional AIM
    /// prefix of any symbology (`]C1` GS1-128, `]d2` DataMatrix) and an optional leading FNC1.
    pub fn parse_read(read: &[u8]) -> Result<Sscc, SsccError> {
        let data = match read {
            [b']', _, _, data @ ..] => data,
            data => data,
        };
        let data = match data {
            [GS | FNC1_CODEWORD, data @ ..] => data,
            data => data,
        };
        match data.strip_prefix(AI_SSCC) {
            Some(digits) if digits.len() == Sscc::LEN => Sscc::parse(digits),
            _ => Sscc::parse(data),
        }
    }

    /// The 18 ASCII digits.
    pub const fn as_bytes(&self) -> &[u8; Sscc::LEN] {
        &self.0
    }

    /// `00` and the 18 digits: the symbol's data, and upstream's `unitSerialNumber`
    /// in aggregation documents (public xTrace clients).
    pub fn render(&self) -> Vec<u8> {
        [AI_SSCC, &self.0].concat()
    }
}

impl fmt::Display for Sscc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|digit| write!(f, "{}", char::from(*digit)))
    }
}

impl fmt::Debug for Sscc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sscc({self})")
    }
}

/// Serial references `next..end` under one extension digit and company prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SsccRange {
    extension: u8,
    company_prefix: String,
    next: u64,
    end: u64,
}

/// Serial references of a company prefix of so many digits.
fn serials_of(digits: usize) -> u64 {
    // 18 less extension and check digit are 16; 16 - 4 = 12 digits fit a u64 easily.
    10u64.pow(16 - digits as u32)
}

impl SsccRange {
    /// Builds the range `next..end`; `next == end` is a used-up range.
    ///
    /// `company_prefix` is a GS1 prefix of 4 to 12 digits (GS1 General Specifications 3.2.1) or,
    /// in Uzbekistan, the tax number padded with zeros (public xTrace clients).
    pub fn new(
        extension: u8,
        company_prefix: &str,
        next: u64,
        end: u64,
    ) -> Result<SsccRange, SsccRangeError> {
        if extension > 9 {
            return Err(SsccRangeError::Extension { got: extension });
        }
        let digits = company_prefix.len();
        if !(4..=12).contains(&digits) || !company_prefix.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(SsccRangeError::CompanyPrefix);
        }
        let serials = serials_of(digits);
        if next > end || end > serials {
            return Err(SsccRangeError::Bounds { next, end, serials });
        }
        Ok(SsccRange { extension, company_prefix: company_prefix.to_owned(), next, end })
    }

    /// Takes the next number; returns it and the range left, or `None` when it is used up.
    pub fn take_next(&self) -> Option<(Sscc, SsccRange)> {
        let sscc = (self.next < self.end).then(|| self.at(self.next)).flatten()?;
        Some((sscc, SsccRange { next: self.next + 1, ..self.clone() }))
    }

    /// Takes up to `count` numbers off the front as a range of their own, for a lease.
    pub fn split(&self, count: u64) -> (SsccRange, SsccRange) {
        let middle = self.next.saturating_add(count).min(self.end);
        (SsccRange { end: middle, ..self.clone() }, SsccRange { next: middle, ..self.clone() })
    }

    /// Serial references of its prefix: no range ends beyond.
    pub fn serials(&self) -> u64 {
        serials_of(self.company_prefix.len())
    }

    pub fn left(&self) -> u64 {
        self.end - self.next
    }

    pub fn extension(&self) -> u8 {
        self.extension
    }

    pub fn company_prefix(&self) -> &str {
        &self.company_prefix
    }

    pub fn next(&self) -> u64 {
        self.next
    }

    pub fn end(&self) -> u64 {
        self.end
    }

    /// Whether both ranges could give the same number.
    pub fn overlaps(&self, other: &SsccRange) -> bool {
        // Prefixes of different lengths can still give the same 18 digits: compare those.
        match (self.span(), other.span()) {
            (Some((a, b)), Some((c, d))) => a <= d && c <= b,
            _ => false,
        }
    }

    fn span(&self) -> Option<(Sscc, Sscc)> {
        let last = self.end.checked_sub(1).filter(|last| *last >= self.next)?;
        Some((self.at(self.next)?, self.at(last)?))
    }

    fn at(&self, serial: u64) -> Option<Sscc> {
        let width = 16 - self.company_prefix.len();
        let mut digits = format!("{}{}{serial:0width$}", self.extension, self.company_prefix).into_bytes();
        digits.push(check_digit(&digits)?);
        digits.try_into().ok().map(Sscc)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SsccError {
    #[error("an SSCC has 18 digits (20 with its 00), not {got} characters")]
    Length { got: usize },
    #[error("an SSCC has digits only")]
    NotDigits,
    #[error("the SSCC's check digit is wrong: a digit was changed or misread")]
    BadCheckDigit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SsccRangeError {
    #[error("the extension digit is 0 to 9, not {got}")]
    Extension { got: u8 },
    #[error("a company prefix has 4 to 12 digits; pad a tax number with zeros on the left")]
    CompanyPrefix,
    #[error("the serials {next} to {end} do not lie in order within the {serials} of this prefix")]
    Bounds { next: u64, end: u64, serials: u64 },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// GS1 General Specifications 7.9.1, the worked example of a check digit for an SSCC.
    const SPEC: &[u8] = b"376104250021234569";

    #[test]
    fn the_example_of_the_specification_parses() {
        assert_eq!(Sscc::parse(SPEC).unwrap().as_bytes(), SPEC);
        assert_eq!(Sscc::parse(SPEC).unwrap().render(), b"00376104250021234569");
    }

    #[test]
    fn reads_of_boxes_parse() {
        let sscc = Sscc::parse(SPEC).unwrap();
        let reads: [&[u8]; 5] = [
            b"376104250021234569",
            b"00376104250021234569",
            b"]C100376104250021234569",
            b"]d2\x1d00376104250021234569",
            b"\x1d00376104250021234569",
        ];
        for read in reads {
            assert_eq!(Sscc::parse_read(read), Ok(sscc));
        }
        let table: [(&[u8], SsccError); 5] = [
            (b"", SsccError::Length { got: 0 }),
            (b"]C1", SsccError::Length { got: 0 }),
            (b"02376104250021234569", SsccError::Length { got: 20 }),
            (b"376104250021234568", SsccError::BadCheckDigit),
            (b"37610425002123456x", SsccError::NotDigits),
        ];
        for (read, error) in table {
            assert_eq!(Sscc::parse_read(read), Err(error));
        }
        // An SSCC may itself begin with 00: eighteen digits are taken as they are.
        assert!(Sscc::parse_read(b"000000000000000000").is_ok());
    }

    #[test]
    fn a_range_gives_each_number_once_and_ends() {
        let mut range = SsccRange::new(0, "000123456789", 9_998, 10_000).unwrap();
        let mut taken = Vec::new();
        while let Some((sscc, rest)) = range.take_next() {
            taken.push(sscc.to_string());
            range = rest;
        }
        // The second field is a tax number of nine digits, padded to twelve.
        assert_eq!(taken, ["000012345678999986", "000012345678999993"]);
        assert_eq!(range.left(), 0);
    }

    #[test]
    fn impossible_ranges_are_refused() {
        let table = [
            ((10, "4780000", 0, 1), SsccRangeError::Extension { got: 10 }),
            ((0, "478", 0, 1), SsccRangeError::CompanyPrefix),
            ((0, "4780000000000", 0, 1), SsccRangeError::CompanyPrefix),
            ((0, "47800a0", 0, 1), SsccRangeError::CompanyPrefix),
            ((0, "4780000", 2, 1), SsccRangeError::Bounds { next: 2, end: 1, serials: 1_000_000_000 }),
            (
                (0, "478000000000", 0, 10_001),
                SsccRangeError::Bounds { next: 0, end: 10_001, serials: 10_000 },
            ),
        ];
        for ((extension, prefix, next, end), error) in table {
            assert_eq!(SsccRange::new(extension, prefix, next, end), Err(error));
        }
    }

    #[test]
    fn overlaps_are_seen_across_prefixes_of_different_lengths() {
        let range = |prefix, next, end| SsccRange::new(0, prefix, next, end).unwrap();
        let table = [
            (range("4780000", 0, 10), range("4780000", 9, 20), true),
            (range("4780000", 0, 10), range("4780000", 10, 20), false),
            (range("4780000", 0, 1_000_000_000), range("47800001", 5, 6), true),
            (range("4780000", 0, 10), range("47800001", 0, 10), false),
            (range("4780000", 5, 5), range("4780000", 0, 10), false),
        ];
        for (a, b, expected) in table {
            assert_eq!(a.overlaps(&b), expected, "{a:?} {b:?}");
            assert_eq!(b.overlaps(&a), expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn what_a_range_gives_parses_and_ascends(extension in 0u8..10, prefix in "[0-9]{4,12}", start in 0u64..9_000, count in 1u64..50) {
            let range = SsccRange::new(extension, &prefix, start, start + count).unwrap();
            let (first, rest) = range.take_next().unwrap();
            prop_assert_eq!(Sscc::parse_read(&first.render()), Ok(first));
            prop_assert_eq!(rest.left(), count - 1);
            if let Some((second, _)) = rest.take_next() {
                prop_assert!(second > first);
            }
            let (lease, rest) = range.split(7);
            prop_assert_eq!(lease.left() + rest.left(), count);
            prop_assert!(!lease.overlaps(&rest));
        }

        #[test]
        fn any_bytes_parse_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            let _ = Sscc::parse_read(&bytes);
        }
    }
}
