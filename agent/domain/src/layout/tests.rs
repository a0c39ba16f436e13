//! Tables of layouts: published examples, what is forgiven, what is not.

use super::read::{Malformed, Parsed};
use super::reader::{SubstituteError, Substitutes, Symbology};
use super::*;

pub(super) const S: &[(&str, usize)] = &[("93", 4)];
pub(super) const L44: &[(&str, usize)] = &[("91", 4), ("92", 44)];

// Examples of help.crpt-turon.uz, articles 10802311059345 (water), 9647988338577 (beer),
// 9387412037649 (tobacco).
const WATER: &[u8] = b"010489921512237121U&U1+<cfOUoZf\x1d93UehU";
const BEER: &[u8] = b"010487021676000721qKkdi+S\x1d93U3g5";
const TOBACCO: &[u8] = b"04780101164394TF&csaNNW1kK0tL";
// SAP's description of its UZ connector and article 8085743502225 (appliances) print these two with
// their tails cut off; the 44 characters are made up.
const PHARMA: &[u8] = b"010475023201441721\
    02007SNTW8V50\x1d91EE07\x1d92aGVsbG8rd29ybGQvYmFzZTY0K3ZhbHVlcy9hcmU0NGN=";
const APPLIANCE: &[u8] = b"010432345678817621\
    AF9-&eDmMbl?6CkOyAEB\x1d91UZF0\x1d92aGVsbG8rd29ybGQvYmFzZTY0K3ZhbHVlcy9hcmU0NGN=";

pub(super) fn layout(forms: &[Form]) -> Layout {
    Layout::new(forms.to_vec()).unwrap()
}

pub(super) fn water() -> Layout {
    layout(&[Form::gs1(13, S)])
}

pub(super) fn beer() -> Layout {
    layout(&[Form::gs1(7, S), Form::gs1(13, S)])
}

pub(super) fn tobacco() -> Layout {
    layout(&[Form::plain(7, &[8]), Form::gs1(7, &[("8005", 6), ("93", 4)])])
}

pub(super) fn replace(bytes: &[u8], from: u8, to: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| if *byte == from { to.to_vec() } else { vec![*byte] }).collect()
}

#[test]
fn published_examples_parse_and_render_back() {
    let table = [
        (water(), WATER, "U&U1+<cfOUoZf", 31),
        (beer(), BEER, "qKkdi+S", 25),
        (beer(), WATER, "U&U1+<cfOUoZf", 31),
        (layout(&[Form::plain(7, &[8])]), TOBACCO, "TF&csaN", 21),
        (layout(&[Form::gs1(13, L44)]), PHARMA, "02007SNTW8V50", 31),
        (layout(&[Form::gs1(20, L44)]), APPLIANCE, "AF9-&eDmMbl?6CkOyAEB", 38),
    ];
    for (layout, full, serial, identity_len) in table {
        let identity = &full[..identity_len];
        let Parsed { code, gs_restored, gs_substituted, symbology_differs, .. } = layout.parse(full).unwrap();
        assert!(!gs_restored && !gs_substituted && !symbology_differs);
        assert_eq!(code.identity.serial.as_bytes(), serial.as_bytes());
        assert_eq!(layout.render_full(&code).unwrap(), full);
        assert_eq!(layout.render_identity(&code.identity).unwrap(), identity);
        assert_eq!(layout.render_identity_of(&code).unwrap(), identity);
        assert_eq!(layout.parse_identity(identity), Ok(code.identity));
        assert_eq!(layout.parse_identity(full), Ok(code.identity));
    }
}

#[test]
fn lengths_agree_with_the_table_of_the_facts() {
    let table = [
        (Form::gs1(7, S), 32, 25),
        (Form::plain(7, &[8]), 29, 21),
        (Form::gs1(13, S), 38, 31),
        (Form::gs1(13, L44), 85, 31),
        (Form::gs1(20, L44), 92, 38),
    ];
    for (form, full, identity) in table {
        assert_eq!((form.full_len(), form.identity_len()), (full, identity));
    }
}

#[test]
fn what_readers_add_is_taken_off_and_noted() {
    let table: [(&[u8], Symbology, bool); 8] = [
        (b"", Symbology { aim: None, leading_fnc1: false }, false),
        (b"]d2", Symbology { aim: Some(b'2'), leading_fnc1: false }, false),
        (b"]d2\x1d", Symbology { aim: Some(b'2'), leading_fnc1: true }, false),
        (b"\x1d", Symbology { aim: None, leading_fnc1: true }, false),
        (b"\xe8", Symbology { aim: None, leading_fnc1: true }, false),
        (b"]d1", Symbology { aim: Some(b'1'), leading_fnc1: false }, true),
        (b"]d1\x1d", Symbology { aim: Some(b'1'), leading_fnc1: true }, true),
        (b"]d7", Symbology { aim: Some(b'7'), leading_fnc1: false }, false),
    ];
    for (before, symbology, differs) in table {
        let parsed = water().parse(&[before, WATER].concat()).unwrap();
        assert_eq!((parsed.symbology, parsed.symbology_differs), (symbology, differs), "{before:?}");
        assert_eq!(parsed.code, water().parse(WATER).unwrap().code);
    }
    let pack = tobacco().parse(&[b"]d2", TOBACCO].concat()).unwrap();
    assert!(pack.symbology_differs, "a tobacco pack is no GS1 symbol");
}

#[test]
fn lost_separators_are_restored_and_noted() {
    let pharma = layout(&[Form::gs1(13, L44)]);
    let first_lost = [&PHARMA[..31], &PHARMA[32..]].concat();
    let second_lost = [&PHARMA[..38], &PHARMA[39..]].concat();
    for read in [first_lost, second_lost, replace(PHARMA, GS, b"")] {
        let parsed = pharma.parse(&read).unwrap();
        assert!(parsed.gs_restored);
        assert_eq!(pharma.render_full(&parsed.code).unwrap(), PHARMA);
    }
    assert_eq!(beer().parse(&replace(BEER, GS, b"")).unwrap().form, 0);
    assert_eq!(beer().parse(&replace(WATER, GS, b"")).unwrap().form, 1);
}

#[test]
fn spelled_separators_are_accepted_only_if_listed_and_only_in_their_place() {
    let usual = Substitutes::usual();
    for spelling in usual.spellings() {
        let read = [&spelling[..], &replace(WATER, GS, spelling)].concat();
        let leading = first_alien_of(spelling);
        let read = if leading { read } else { replace(WATER, GS, spelling) };
        let parsed = water().parse_with(&read, &usual).unwrap();
        assert!(parsed.gs_substituted && !parsed.gs_restored);
        assert_eq!(parsed.symbology.leading_fnc1, leading);
        assert_eq!(water().render_full(&parsed.code).unwrap(), WATER);
        assert!(water().parse(&read).is_err(), "not listed, not accepted");
    }
    let misplaced = b"010489921512237121U&U1+<cfO|UoZf93UehU";
    assert_eq!(water().parse_with(misplaced, &usual), Err(Malformed::Alphabet { at: 27, byte: b'|' }));
}

fn first_alien_of(spelling: &[u8]) -> bool {
    crate::gs1::first_alien(spelling).is_some()
}

#[test]
fn two_ways_to_take_the_bytes_are_ambiguous() {
    // A 6-character serial with a spelled separator is as long as a 13-character one without.
    let milk_or_water = layout(&[Form::gs1(6, S), Form::gs1(13, S)]);
    let read = b"010489921512237121U&U1+<_x001D_93UehU";
    let usual = Substitutes::usual();
    assert_eq!(milk_or_water.parse_with(read, &usual), Err(Malformed::Ambiguous));
    assert_eq!(milk_or_water.parse_identity_with(read, &usual), Err(Malformed::Ambiguous));
    assert_eq!(milk_or_water.parse(read).map(|parsed| parsed.form), Ok(1));
}

#[test]
fn exact_bytes_win_over_spelled_separators() {
    // Exact for the first form; for the second only if _x001D_ is taken for a separator.
    let layout = layout(&[Form::gs1(13, &[]), Form::gs1(2, &[("93", 2)])]);
    let read = b"010489921512237121ab_x001D_93cd";
    let parsed = layout.parse_with(read, &Substitutes::usual()).unwrap();
    assert_eq!((parsed.form, parsed.gs_substituted), (0, false));
}

#[test]
fn malformed_reads_are_refused_with_the_place() {
    let table: [(&[u8], Malformed); 14] = [
        (b"", Malformed::Length { got: 0 }),
        (b"]d2", Malformed::Length { got: 0 }),
        (b"]d", Malformed::Symbology),
        (b"]C10104899215122371", Malformed::Symbology),
        (&WATER[..37], Malformed::Length { got: 37 }),
        (b"010489921512237121U&U1+<cfOUoZf\x1d93UehUx", Malformed::Length { got: 39 }),
        (b"010489921512237121U&U1+<cfOUoZf\x1d93UehU\r", Malformed::Length { got: 39 }),
        (b"020489921512237121U&U1+<cfOUoZf\x1d93UehU", Malformed::WrongAi { at: 0 }),
        (b"01O489921512237121U&U1+<cfOUoZf\x1d93UehU", Malformed::NotGtin { at: 2 }),
        (b"010489921512237221U&U1+<cfOUoZf\x1d93UehU", Malformed::BadCheckDigit),
        (b"010489921512237110U&U1+<cfOUoZf\x1d93UehU", Malformed::WrongAi { at: 16 }),
        (b"010489921512237121U&U1+ cfOUoZf\x1d93UehU", Malformed::Alphabet { at: 23, byte: b' ' }),
        (b"010489921512237121U&U1+<cfOUoZf\x1d92UehU", Malformed::WrongAi { at: 32 }),
        (b"010489921512237121U&U1+<cfOUoZfx\x1d93Ueh", Malformed::MissingGs { at: 31 }),
    ];
    for (read, reason) in table {
        assert_eq!(water().parse(read), Err(reason), "{:?}", String::from_utf8_lossy(read));
    }
    let upper = b"010489921512237121u&u1+<CFouOzF\x1d93uEHu\xd0";
    assert_eq!(water().parse(upper), Err(Malformed::Length { got: 39 }));
    assert_eq!(water().parse(&[b'0'; 10_000]), Err(Malformed::Length { got: 10_000 }));
    let short_serial = b"010489921512237121U&U1+<cfOUoZ\x1d93UehUx";
    assert_eq!(water().parse(short_serial), Err(Malformed::Alphabet { at: 30, byte: GS }));
}

#[test]
fn an_identity_may_be_typed_or_scanned() {
    let identity = water().parse(WATER).unwrap().code.identity;
    for read in [
        &WATER[..31],
        WATER,
        b"(01)04899215122371(21)U&U1+<cfOUoZf",
        b"]d20104899215122371\
        21U&U1+<cfOUoZf",
    ] {
        assert_eq!(water().parse_identity(read), Ok(identity));
    }
    assert_eq!(water().parse_identity(&WATER[..30]), Err(Malformed::Length { got: 30 }));
    assert_eq!(water().parse_identity(b"010489921512237221U&U1+<cfOUoZf"), Err(Malformed::BadCheckDigit));
    // A 6-character serial's full code is as long as a 13-character serial's identity (31).
    let meat = layout(&[Form::gs1(6, S), Form::gs1(13, L44)]);
    let full6 = b"010489921512237121U&U1+<\x1d93UehU";
    assert_eq!(meat.parse_identity(full6).unwrap().serial.as_bytes(), b"U&U1+<");
    assert_eq!(meat.parse_identity(&PHARMA[..31]).unwrap().serial.as_bytes(), b"02007SNTW8V50");
}

#[test]
fn an_identity_that_is_also_a_code_without_its_separator_is_ambiguous() {
    // Serial of 13 alone, or serial of 7, lost separator, 93 and its value: nobody can tell.
    let read = b"010489921512237121abcdefg93ABCD";
    assert_eq!(beer().parse_identity(read), Err(Malformed::Ambiguous));
    assert_eq!(beer().parse_identity_exact(read).unwrap().serial.as_bytes(), b"abcdefg93ABCD");
    assert_eq!(
        beer().parse_identity_exact(b"]d2010489921512237121abcdefg93ABCD"),
        Err(Malformed::Length { got: 34 })
    );
    assert_eq!(
        beer().parse_identity_exact(b"(01)04899215122371(21)abcdefg"),
        Err(Malformed::Length { got: 29 })
    );
}

#[test]
fn tobacco_identities_need_the_kind_of_package() {
    let pack = tobacco().parse(TOBACCO).unwrap().code;
    assert_eq!(tobacco().render_identity(&pack.identity), Err(RenderError::TwoForms));
    assert_eq!(tobacco().render_identity_of(&pack).unwrap(), &TOBACCO[..21]);
    let water_code = water().parse(WATER).unwrap().code;
    assert_eq!(tobacco().render_identity(&water_code.identity), Err(RenderError::NoForm));
    assert_eq!(tobacco().render_full(&water_code), Err(RenderError::NoForm));
    assert_eq!(tobacco().form_of(&water_code), None);
}

#[test]
fn tails_are_cut_into_their_parts() {
    let pharma = layout(&[Form::gs1(13, L44)]);
    let code = pharma.parse(PHARMA).unwrap().code;
    let parts = pharma.tail_parts(&code).unwrap();
    assert_eq!(parts, vec![("91", &PHARMA[34..38]), ("92", &PHARMA[41..85])]);
}

#[test]
fn impossible_layouts_are_refused() {
    let part = |ai: &str, len| TailPart { ai: ai.to_owned(), len };
    let form = |serial_len, gs1, tail| Form { serial_len, gs1, tail };
    let table = [
        (vec![], LayoutError::FormCount { got: 0 }),
        (vec![Form::gs1(13, S); 9], LayoutError::FormCount { got: 9 }),
        // Serial 6 with its separator is as long as serial 7 without.
        (vec![Form::gs1(6, S), Form::gs1(7, S)], LayoutError::SameLength { first: 0, second: 1 }),
        (vec![Form::gs1(13, S), Form::gs1(13, S)], LayoutError::SameLength { first: 0, second: 1 }),
        (
            vec![Form::plain(7, &[8]), Form::gs1(7, &[("93", 8)])],
            LayoutError::SameValues { first: 0, second: 1 },
        ),
    ];
    for (forms, error) in table {
        assert_eq!(Layout::new(forms), Err(error));
    }
    let table = [
        (form(0, true, vec![]), FormError::SerialLen { got: 0 }),
        (form(21, true, vec![]), FormError::SerialLen { got: 21 }),
        (form(7, true, vec![part("93", 4); 5]), FormError::TooManyParts { got: 5 }),
        (form(7, true, vec![part("", 4)]), FormError::Ai { ai: String::new() }),
        (form(7, true, vec![part("9x", 4)]), FormError::Ai { ai: "9x".to_owned() }),
        (form(7, false, vec![part("93", 4)]), FormError::Ai { ai: "93".to_owned() }),
        (form(7, true, vec![part("93", 0)]), FormError::PartLen { got: 0 }),
        (form(7, true, vec![part("93", usize::MAX), part("93", 4)]), FormError::PartLen { got: usize::MAX }),
        (form(7, true, vec![part("91", 100), part("92", 44)]), FormError::PartLen { got: 144 }),
    ];
    for (form, source) in table {
        assert_eq!(Layout::new(vec![form]), Err(LayoutError::Form { index: 0, source }));
    }
}

#[test]
fn substitute_lists_are_bounded() {
    assert_eq!(Substitutes::new(vec![vec![b'|']; 17]), Err(SubstituteError::TooMany { got: 17 }));
    assert_eq!(Substitutes::new(vec![vec![]]), Err(SubstituteError::Length { index: 0, got: 0 }));
    assert_eq!(Substitutes::new(vec![b"a\x1d".to_vec()]), Err(SubstituteError::RealGs { index: 0 }));
    assert_eq!(Substitutes::new(Substitutes::usual().spellings().to_vec()), Ok(Substitutes::usual()));
}
