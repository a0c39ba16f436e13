//! A scan as it comes over the API or a terminal: bytes, spelled in one of a few ways.
//!
//! A code is bytes, never text to clean up: nothing is trimmed here but the line end that a scanner adds, and nothing
//! is guessed beyond the spellings of GS that a keyboard needs.

use tamga_domain::gs1::GS;

/// Longest scan; the longest code is under 200 bytes.
pub const SCAN_BYTES_MAX: usize = 1024;

/// A scan typed or pasted: `\x1d`, `{GS}` and `<GS>` stand for GS, which no keyboard has. The last could be three
/// characters of a serial, so it is read so only where no other GS stands in the scan.
pub fn spelled(text: &str) -> Vec<u8> {
    let text = text.trim_end_matches(['\r', '\n']);
    let gs = "\u{1d}";
    let mut said = readable(text).unwrap_or_else(|| text.to_owned());
    for spelling in ["\\x1d", "\\x1D", "{GS}", "\\u001d", "\\u001D", "␝"] {
        said = said.replace(spelling, gs);
    }
    if !said.as_bytes().contains(&GS) {
        said = said.replace("<GS>", gs);
    }
    said.into_bytes()
}

/// A code as it stands below a symbol for people, `(01)…(21)…(93)…` or `(00)…`, as a scanner would read it. The GTIN and
/// an SSCC end by themselves, what follows the serial is separated.
fn readable(text: &str) -> Option<String> {
    if let Some(sscc) = text.strip_prefix("(00)") {
        return Some(format!("00{sscc}"));
    }
    let rest = text.strip_prefix("(01)")?;
    let (gtin, rest) = rest.split_at_checked(14)?;
    let serial = rest.strip_prefix("(21)")?;
    let mut said = format!("01{gtin}21");
    let mut rest = serial;
    while let Some((before, ai)) = rest.split_once('(') {
        said.push_str(before);
        match ai.split_once(')') {
            Some((ai, after)) if (2..=4).contains(&ai.len()) && ai.bytes().all(|b| b.is_ascii_digit()) => {
                said.push('\u{1d}');
                said.push_str(ai);
                rest = after;
            }
            _ => {
                said.push('(');
                rest = ai;
            }
        }
    }
    said.push_str(rest);
    Some(said)
}

/// Bytes from base64 (RFC 4648, section 4), padded or not.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    if text.len() - digits.len() > 2 || digits.len() % 4 == 1 {
        return None;
    }
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            bits = bits << 6 | u32::from(value_of(*digit)?);
        }
        let missing = 4 - group.len();
        bits <<= 6 * missing;
        out.extend_from_slice(&bits.to_be_bytes()[1..4 - missing]);
    }
    Some(out)
}

/// Base64 with padding.
pub fn to_base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut three = [0_u8; 3];
        three[..group.len()].copy_from_slice(group);
        let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place > group.len() { '=' } else { char::from(digit) });
        }
    }
    out
}

fn value_of(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gs_is_known_in_its_spellings() {
        for text in ["01\\x1d93", "01\\x1D93", "01{GS}93", "01<GS>93", "01\u{1d}93", "01\u{1d}93\r\n"] {
            assert_eq!(spelled(text), b"01\x1d93", "{text:?}");
        }
        assert_eq!(spelled("21<GS>a\u{1d}93"), b"21<GS>a\x1d93");
        assert_eq!(spelled("a b "), b"a b ");
        for (text, bytes) in [
            ("(00)046000000000000015", &b"00046000000000000015"[..]),
            ("(01)04600000000015(21)A7bQ", b"010460000000001521A7bQ"),
            ("(01)04600000000015(21)A7bQ(93)dGVz", b"010460000000001521A7bQ\x1d93dGVz"),
            ("(01)04600000000015(21)A(7)b(Q(93)dGVz", b"010460000000001521A(7)b(Q\x1d93dGVz"),
            ("(01)0460", b"(01)0460"),
            ("(8005)12", b"(8005)12"),
        ] {
            assert_eq!(spelled(text), bytes, "{text}");
        }
    }

    #[test]
    fn base64_comes_back_as_it_went() {
        for len in 0..70_u8 {
            let bytes: Vec<u8> = (0..len).map(|i| i.wrapping_mul(37) ^ 0xa5).collect();
            let text = to_base64(&bytes);
            assert_eq!(from_base64(&text), Some(bytes.clone()), "{text}");
            assert_eq!(from_base64(text.trim_end_matches('=')), Some(bytes), "{text}");
        }
        assert_eq!(to_base64(b"foob"), "Zm9vYg==");
        for bad in ["A", "AA===", "A*==", "Zg==Zg=="] {
            assert_eq!(from_base64(bad), None, "{bad}");
        }
    }
}
