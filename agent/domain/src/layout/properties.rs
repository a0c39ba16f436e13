//! Properties of layouts that hold for every code and every bytes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::read::Malformed;
use super::reader::Substitutes;
use super::tests::{L44, S, beer, layout, replace, tobacco, water};
use super::*;

const L88: &[(&str, usize)] = &[("91", 4), ("92", 88)];

fn every_shape() -> Vec<Layout> {
    vec![
        water(),
        beer(),
        tobacco(),
        layout(&[Form::gs1(13, L44)]),
        layout(&[Form::gs1(20, L44)]),
        layout(&[Form::gs1(13, L88)]),
        layout(&[Form::gs1(6, S), Form::gs1(13, L44)]),
        layout(&[Form::gs1(6, S), Form::gs1(6, L44), Form::gs1(13, S), Form::gs1(13, L44)]),
        layout(&[Form::plain(7, &[4, 4])]),
        layout(&[Form::gs1(13, &[])]),
    ]
}

/// Characters of the alphabet, with AI digits, quotes and mark-up more often than chance.
fn value(len: usize) -> impl Strategy<Value = Vec<u8>> {
    let alphabet: Vec<u8> = (0..=255).filter(|byte| crate::gs1::is_gs1_char(*byte)).collect();
    let tokens: Vec<&[u8]> =
        vec![b"93", b"91", b"92", b"01", b"21", b"8005", b"\"", b"<GS>", b"&", b"'", b"_x001D_", b"=", b"+/"];
    let piece = prop_oneof![
        3 => proptest::sample::select(alphabet).prop_map(|byte| vec![byte]),
        2 => proptest::sample::select(tokens).prop_map(<[u8]>::to_vec),
    ];
    vec(piece, len).prop_map(move |pieces| pieces.concat()[..len].to_vec())
}

fn layout_and_code() -> impl Strategy<Value = (Layout, usize, Code)> {
    let choices: Vec<(Layout, usize)> = every_shape()
        .into_iter()
        .flat_map(|layout| (0..layout.forms().len()).map(move |index| (layout.clone(), index)))
        .collect();
    proptest::sample::select(choices).prop_flat_map(|(layout, index)| code_of(layout, index))
}

/// Layouts that nobody uses: whatever `Layout::new` lets through.
fn any_layout_and_code() -> impl Strategy<Value = (Layout, usize, Code)> {
    let part = (proptest::sample::select(vec!["91", "92", "93", "8005", "240"]), 1usize..8);
    let form = (1usize..=20, any::<bool>(), vec(part, 0..=3)).prop_map(|(serial_len, gs1, parts)| {
        let ai = |ai: &str| if gs1 { ai.to_owned() } else { String::new() };
        let tail = parts.into_iter().map(|(digits, len)| TailPart { ai: ai(digits), len }).collect();
        Form { serial_len, gs1, tail }
    });
    let layout =
        vec(form, 1..=3).prop_filter_map("forms that can be mixed up", |forms| Layout::new(forms).ok());
    (layout, any::<prop::sample::Index>()).prop_flat_map(|(layout, index)| {
        let index = index.index(layout.forms().len());
        code_of(layout, index)
    })
}

fn code_of(layout: Layout, index: usize) -> impl Strategy<Value = (Layout, usize, Code)> {
    let form = &layout.forms()[index];
    let values = (value(form.serial_len), value(form.tail_len()));
    (Just(layout), "[0-9]{13}", values).prop_map(move |(layout, body, (serial, tail))| {
        let mut digits = body.into_bytes();
        digits.push(crate::gs1::check_digit(&digits).unwrap());
        let identity =
            Identity { gtin: Gtin::parse(&digits).unwrap(), serial: Serial::new(&serial).unwrap() };
        (layout, index, Code { identity, tail: Tail::new(&tail).unwrap() })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn parse_undoes_render((layout, form, code) in layout_and_code()) {
        let full = layout.render_full(&code).unwrap();
        prop_assert_eq!(layout.form_of(&code), Some(form));
        for substitutes in [Substitutes::default(), Substitutes::usual()] {
            let parsed = layout.parse_with(&full, &substitutes).unwrap();
            prop_assert_eq!(&parsed.code, &code);
            prop_assert_eq!(parsed.form, form);
            prop_assert!(!parsed.gs_restored && !parsed.gs_substituted);
        }
        let identity = layout.render_identity_of(&code).unwrap();
        prop_assert_eq!(layout.parse_identity_exact(&identity), Ok(code.identity));
        prop_assert_eq!(layout.parse_identity(&full), Ok(code.identity));
        match layout.parse_identity(&identity) {
            Ok(found) => prop_assert_eq!(found, code.identity),
            // "93" stands by chance where the full code of a shorter form would have it.
            Err(reason) => {
                prop_assert_eq!(reason, Malformed::Ambiguous);
                prop_assert!(layout.parse(&identity).unwrap().gs_restored);
            }
        }
    }

    #[test]
    fn any_lost_separators_are_restored((layout, form, code) in layout_and_code(), lose in 1u8..16) {
        let full = layout.render_full(&code).unwrap();
        let mut gap = 0;
        let kept: Vec<u8> = full.iter().copied().filter(|byte| {
            if *byte != GS { return true; }
            gap += 1;
            lose & (1 << (gap - 1)) == 0
        }).collect();
        let parsed = layout.parse(&kept).unwrap();
        prop_assert_eq!(parsed.gs_restored, kept.len() < full.len());
        prop_assert_eq!((parsed.code, parsed.form), (code, form));
    }

    #[test]
    fn whatever_layout_is_let_through_reads_its_codes((layout, form, code) in any_layout_and_code()) {
        let full = layout.render_full(&code).unwrap();
        for substitutes in [Substitutes::default(), Substitutes::usual()] {
            let parsed = layout.parse_with(&full, &substitutes).unwrap();
            prop_assert_eq!((&parsed.code, parsed.form), (&code, form));
        }
        let stripped: Vec<u8> = full.iter().copied().filter(|byte| *byte != GS).collect();
        let parsed = layout.parse(&stripped).unwrap();
        prop_assert_eq!((parsed.code, parsed.form), (code, form));
    }

    #[test]
    fn a_spelled_separator_never_yields_another_code((layout, _, code) in layout_and_code(), pick in 0usize..13) {
        let usual = Substitutes::usual();
        let full = layout.render_full(&code).unwrap();
        let read = replace(&full, GS, &usual.spellings()[pick]);
        match layout.parse_with(&read, &usual) {
            Ok(parsed) => prop_assert_eq!(parsed.code, code),
            // Spelled with data characters only, the bytes may fit another form as well.
            Err(reason) => prop_assert_eq!(reason, Malformed::Ambiguous),
        }
    }

    #[test]
    fn any_bytes_parse_without_panic(bytes in vec(any::<u8>(), 0..300)) {
        for layout in every_shape() {
            let _ = layout.parse_with(&bytes, &Substitutes::usual());
            let _ = layout.parse_identity_with(&bytes, &Substitutes::usual());
        }
    }

    #[test]
    fn damaged_codes_parse_without_panic_and_never_to_the_same_code(
        (layout, _, code) in layout_and_code(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()
    ) {
        let full = layout.render_full(&code).unwrap();
        let at = at.index(full.len());
        let mut read = full.clone();
        if cut { read.truncate(at); } else { read[at] = byte; }
        for substitutes in [Substitutes::default(), Substitutes::usual()] {
            let _ = layout.parse_identity_with(&read, &substitutes);
            // In place of a separator a listed spelling of one byte is the separator.
            if let Ok(parsed) = layout.parse_with(&read, &substitutes) {
                prop_assert!(parsed.code != code || read == full || full[at] == GS);
            }
        }
    }
}
