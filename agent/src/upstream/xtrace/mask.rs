//! What must not be kept of a body: the key, and verification tails.

/// At most this much of an answer is kept.
const KEPT_MAX: usize = 64 * 1024;
/// A code shows its AI and GTIN, no more.
const CODE_SHOWN: usize = 16;

/// A body for the engineer: bounded, without the key, and codes cut. A string that is longer than an identity may be
/// and is no UUID may be a code whether it has a separator or not.
pub fn masked(body: &[u8], key: &str) -> Vec<u8> {
    let cut = &body[..body.len().min(KEPT_MAX)];
    let text = String::from_utf8_lossy(cut);
    let text = if key.is_empty() { text.into_owned() } else { text.replace(key, "(key)") };
    let mut out = String::with_capacity(text.len());
    for (i, part) in text.split('"').enumerate() {
        if i > 0 {
            out.push('"');
        }
        if looks_like_a_code(part) {
            out.extend(part.chars().take(CODE_SHOWN));
            out.push('…');
        } else {
            out.push_str(part);
        }
    }
    out.truncate(out.floor_char_boundary(KEPT_MAX));
    out.into_bytes()
}

fn looks_like_a_code(part: &str) -> bool {
    let separated = part.contains('\u{1d}') || part.to_ascii_lowercase().contains("\\u001d");
    let digits = part.bytes().take(CODE_SHOWN).filter(u8::is_ascii_digit).count();
    separated || (part.len() >= 25 && digits >= 14)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, want: &str) {
        assert_eq!(String::from_utf8(masked(body.as_bytes(), "K-1")).unwrap(), want);
    }

    #[test]
    fn tails_and_the_key_are_not_kept() {
        check(r#"["010489921512237121U&U1+<cfOUoZf\u001d93CANARY","x"]"#, "[\"0104899215122371…\",\"x\"]");
        check(r#"["00000046198488X?io+qCABm8CANARY"#, "[\"00000046198488X?…");
        check(r#"{"cause":"bad key K-1"}"#, r#"{"cause":"bad key (key)"}"#);
        let uuid = r#"{"packId":"1c9a7f6e-0000-4f1a-9d2b-0123456789ab"}"#;
        check(uuid, uuid);
    }
}
