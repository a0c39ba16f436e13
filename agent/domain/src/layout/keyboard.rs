//! What a Cyrillic keyboard layout makes of a scan, and back.
//!
//! A scanner that acts as a keyboard sends the keys of a US keyboard; a host set to the Russian layout types other letters
//! for them. The 94 printable characters go to 94 different ones, so a text is repaired by going back, where it is known to
//! have been typed so: a Cyrillic letter in it proves it, since no code and no label has one. A text without one may be as it
//! was sent, or may have been changed in its punctuation alone: that cannot be seen, so it is left as it is, and its layout
//! and its verification tail decide. A text that has Latin letters beside Cyrillic ones was typed in two layouts, and is
//! refused. (Facts of readers, data integrity: the map of the Windows Russian layout.)

/// The printable characters of a US keyboard, and what the Russian layout types for their keys.
const US: &str =
    "`1234567890-=qwertyuiop[]\\asdfghjkl;'zxcvbnm,./~!@#$%^&*()_+QWERTYUIOP{}|ASDFGHJKL:\"ZXCVBNM<>?";
const RU: &str =
    "ё1234567890-=йцукенгшщзхъ\\фывапролджэячсмитьбю.Ё!\"№;%:?*()_+ЙЦУКЕНГШЩЗХЪ/ФЫВАПРОЛДЖЭЯЧСМИТЬБЮ,";

/// What was done with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// It shows no damage, and is as it was.
    AsItWas,
    /// It was typed in the Russian layout; this was sent.
    Repaired(Vec<u8>),
    /// It was typed in two layouts, or has letters of neither: nobody knows what was sent.
    Unclear,
}

/// Repairs a text that a keyboard scanner typed into a field while the host had the Russian layout. Control characters, such
/// as a separator, come through as they are.
pub fn repair(text: &[u8]) -> Typed {
    if text.is_ascii() {
        return Typed::AsItWas;
    }
    let Ok(text) = std::str::from_utf8(text) else { return Typed::Unclear };
    if !text.chars().any(is_cyrillic) {
        // The sign of numbers is the one character of the layout that is neither ASCII nor a letter.
        return if text.chars().all(|c| c.is_ascii() || c == '№') { back(text) } else { Typed::Unclear };
    }
    back(text)
}

fn back(text: &str) -> Typed {
    let mut sent = Vec::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_control() || c == ' ' {
            sent.push(c as u8);
            continue;
        }
        // A Latin letter is on no key of the Russian layout.
        let Some(key) = RU.chars().position(|typed| typed == c) else { return Typed::Unclear };
        sent.push(US.as_bytes()[key]);
    }
    Typed::Repaired(sent)
}

fn is_cyrillic(c: char) -> bool {
    matches!(c, 'А'..='я' | 'ё' | 'Ё')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a host with the Russian layout types for what a scanner sends.
    fn damaged(sent: &[u8]) -> Vec<u8> {
        let typed = |byte: &u8| match US.bytes().position(|us| us == *byte) {
            Some(key) => RU.chars().nth(key).unwrap(),
            None => char::from(*byte),
        };
        sent.iter().map(typed).collect::<String>().into_bytes()
    }

    #[test]
    fn every_key_has_one_letter_in_each_layout() {
        let distinct = |text: &str| text.chars().collect::<std::collections::BTreeSet<_>>().len();
        assert_eq!((US.len(), RU.chars().count(), distinct(US), distinct(RU)), (94, 94, 94, 94));
        assert!(US.bytes().all(|byte| byte.is_ascii_graphic()));
    }

    #[test]
    fn a_code_typed_in_the_russian_layout_comes_back_whole() {
        let sent = b"010478000000001421A7bQ\"%&/=!x\x1d93dGVz";
        let typed = damaged(sent);
        assert!(std::str::from_utf8(&typed).unwrap().contains("Ф7иЙ"), "{}", String::from_utf8_lossy(&typed));
        assert_eq!(repair(&typed), Typed::Repaired(sent.to_vec()));
        // Each printable character by itself, beside a letter that shows the layout.
        for byte in US.bytes() {
            let sent = [b'a', byte, b'Z'];
            assert_eq!(repair(&damaged(&sent)), Typed::Repaired(sent.to_vec()), "{}", char::from(byte));
        }
    }

    #[test]
    fn what_shows_no_damage_is_left_alone_and_what_is_unclear_refused() {
        assert_eq!(repair(b"010478000000001421A7bQ\x1d93dGVz"), Typed::AsItWas);
        // An SSCC has digits only, and they are the same in both layouts.
        assert_eq!(repair(b"00376104250021234569"), Typed::AsItWas);
        // Punctuation alone may have been changed: nothing shows it.
        assert_eq!(repair(&damaged(b"01/?")), Typed::AsItWas);
        assert_eq!(repair("01№5".as_bytes()), Typed::Repaired(b"01#5".to_vec()));
        for unclear in ["01Фb", "01фQ№", "01é", "01Ґ", "01ф\u{1d}é"] {
            assert_eq!(repair(unclear.as_bytes()), Typed::Unclear, "{unclear}");
        }
        assert_eq!(repair(b"01\xff\xfe"), Typed::Unclear);
    }
}
