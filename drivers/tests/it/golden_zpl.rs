//! ZPL bytes, pinned. These are never changed to make a test pass.
//!
//! Forms: Zebra "ZPL II Programming Guide" P1099958, `^BX`, `^JZ`, `^PQ`, `^DF`/`^XF`, `^FH`; the GS1
//! form of `facts/printers.md` §1.2, which was rendered by two renderers and read by two readers.

use tamga_drivers::fault::FaultKind;
use tamga_drivers::printer::zpl_format::{
    Bar, Separator, SymbolSize, TextField, ZplConfig, render, stored, test_label,
};
use tamga_drivers::printer::{Job, JobId};

/// A water pack: GTIN, serial with punctuation, key. 40 bytes; 22×22 modules at auto size.
const WATER: &[u8] = b"010460043993125621Jg,X_5(T\"%&/=!\x1d93dGVz";

fn job(symbol: &[u8], gs1: bool) -> Job {
    let fields = vec![("batch".to_owned(), "L_7^".to_owned()), ("expiry".to_owned(), "до 31.12".to_owned())];
    Job { id: JobId(1), symbol: symbol.to_vec(), gs1, fields }
}

fn check(config: &ZplConfig, job: &Job, zpl: &str) {
    assert_eq!(String::from_utf8(render(config, job).unwrap()).unwrap(), zpl);
}

fn texts() -> Vec<TextField> {
    vec![TextField { x: 10, y: 300, height_dots: 24, template: "{batch} {expiry}{nothing}".to_owned() }]
}

#[test]
fn a_gs1_label_in_the_default_form() {
    check(
        &ZplConfig::default(),
        &job(WATER, true),
        "^XA^JZN^PW400^LL400^LH0,0^FO60,60^BXN,8,200,0,0,,@\
         ^FD@1010460043993125621Jg,X_5(T\"%&/=!@193dGVz^FS^PQ1,0,0,N^XZ",
    );
}

#[test]
fn a_literal_gs_and_a_size_by_length() {
    let config = ZplConfig { separator: Separator::Gs, size: SymbolSize::ByLength, ..ZplConfig::default() };
    check(
        &config,
        &job(WATER, true),
        "^XA^JZN^PW400^LL400^LH0,0^FO60,60^BXN,8,200,22,22,,@\
         ^FD@1010460043993125621Jg,X_5(T\"%&/=!@d02993dGVz^FS^PQ1,0,0,N^XZ",
    );
}

#[test]
fn a_tobacco_pack_has_no_leading_fnc1() {
    check(
        &ZplConfig::default(),
        &job(b"04600439931256AbCdEf!AB12dGVz", false),
        "^XA^JZN^PW400^LL400^LH0,0^FO60,60^BXN,8,200,0,0,,@^FD04600439931256AbCdEf!AB12dGVz^FS^PQ1,0,0,N^XZ",
    );
}

#[test]
fn text_beside_the_symbol_is_escaped_byte_by_byte() {
    let config = ZplConfig { texts: texts(), ..ZplConfig::default() };
    check(
        &config,
        &job(WATER, true),
        "^XA^JZN^CI28^PW400^LL400^LH0,0^FO60,60^BXN,8,200,0,0,,@\
         ^FD@1010460043993125621Jg,X_5(T\"%&/=!@193dGVz^FS\
         ^FO10,300^A0N,24,24^FH_^FDL_5F7_5E _D0_B4_D0_BE 31.12^FS^PQ1,0,0,N^XZ",
    );
}

/// The label of a pack: GS1-128 beside the DataMatrix. The ZPL II guide's table of invocation characters: `>;` starts subset
/// C, `>8` is FNC1.
#[test]
fn a_pack_label_has_a_gs1_128_beside_its_symbol() {
    let bar = Some(Bar { x: 60, y: 300, module_dots: 3, height_dots: 90 });
    let config = ZplConfig { bar, ..ZplConfig::default() };
    let label = job(b"00376104250021234569", true);
    check(
        &config,
        &label,
        "^XA^JZN^PW400^LL400^LH0,0^FO60,60^BXN,8,200,0,0,,@^FD@100376104250021234569^FS\
         ^FO60,300^BY3^BCN,90,N,N,N,N^FD>;>800376104250021234569^FS^PQ1,0,0,N^XZ",
    );
    let kept = ZplConfig { stored_format: Some("E:BOX.ZPL".to_owned()), texts: texts(), ..config.clone() };
    let format = String::from_utf8(stored(&kept).unwrap()).unwrap();
    let number = kept.texts.len() + 2;
    assert!(format.ends_with(&format!("^FO60,300^BY3^BCN,90,N,N,N,N^FN{number}^FS^XZ")), "{format}");
    let filled = String::from_utf8(render(&kept, &label).unwrap()).unwrap();
    assert!(filled.contains(&format!("^FN{number}^FD>;>800376104250021234569^FS")), "{filled}");
    for no_digits in [&b"0037610425002123456"[..], WATER] {
        assert_eq!(render(&config, &job(no_digits, true)).unwrap_err().kind, FaultKind::Unprintable);
    }
    assert_eq!(Bar::modules(20), 156);
}

#[test]
fn a_stored_format_is_sent_once_and_filled_by_each_label() {
    let size = SymbolSize::Fixed { columns: 22, rows: 22 };
    let stored_format = Some("E:TAMGA.ZPL".to_owned());
    let config = ZplConfig { texts: texts(), size, stored_format, ..ZplConfig::default() };
    assert_eq!(
        String::from_utf8(stored(&config).unwrap()).unwrap(),
        "^XA^JZN^DFE:TAMGA.ZPL^FS^CI28^PW400^LL400^LH0,0^FO60,60^BXN,8,200,22,22,,@^FN1^FS\
         ^FO10,300^A0N,24,24^FN2^FS^XZ"
    );
    check(
        &config,
        &job(WATER, true),
        "^XA^JZN^XFE:TAMGA.ZPL^FS^FN1^FD@1010460043993125621Jg,X_5(T\"%&/=!@193dGVz^FS\
         ^FN2^FH_^FDL_5F7_5E _D0_B4_D0_BE 31.12^FS^PQ1,0,0,N^XZ",
    );
    assert_eq!(stored(&ZplConfig::default()), None);
}

#[test]
fn a_test_label_says_test_and_is_no_code() {
    let small = SymbolSize::Fixed { columns: 10, rows: 10 };
    let config = ZplConfig { size: small, stored_format: Some("R:X.ZPL".to_owned()), ..ZplConfig::default() };
    assert_eq!(
        String::from_utf8(test_label(&config, "line 1 ^@~ по-русски")).unwrap(),
        "^XA^JZN^PW400^LL400^LH0,0^FO60,60^BXN,8,200,0,0,,@^FDTEST line 1  ^FS\
         ^FO8,220^A0N,66,66^FDTEST^FS^PQ1,0,0,N^XZ"
    );
}

/// Where the word TEST of a test label begins, and its height.
fn test_word(config: &ZplConfig) -> (u32, u32, u32) {
    let zpl = String::from_utf8(test_label(config, "TAMGA")).unwrap();
    let word = zpl.rsplit_once("^FO").unwrap().1;
    let (place, font) = word.split_once("^A0N,").unwrap();
    let number = |text: &str| text.parse().unwrap();
    let (x, y) = place.split_once(',').unwrap();
    (number(x), number(y), number(font.split_once(',').unwrap().0))
}

#[test]
fn the_word_test_never_lies_on_the_symbol() {
    let label = |x, y, label_width_dots, label_length_dots| ZplConfig {
        x,
        y,
        label_width_dots,
        label_length_dots,
        module_dots: 4,
        texts: texts(),
        ..ZplConfig::default()
    };
    // Ten codewords are 16×16: 64 dots, and two modules of 4 dots beside them.
    assert_eq!(test_word(&label(20, 20, 200, 200)), (4, 92, 33), "below");
    assert_eq!(test_word(&label(20, 130, 200, 200)), (4, 4, 33), "above");
    assert_eq!(test_word(&label(4, 4, 400, 72)), (76, 4, 12), "right");
    assert_eq!(test_word(&label(330, 4, 400, 72)), (4, 4, 12), "left");
    assert_eq!(test_word(&label(2, 2, 70, 70)), (4, 60, 10), "no room: the word all the same");
    let zpl = String::from_utf8(test_label(&label(20, 20, 200, 200), "TAMGA")).unwrap();
    assert!(!zpl.contains("^A0N,24,24"), "no other text: {zpl}");
}

#[test]
fn what_zpl_cannot_carry_exactly_is_refused() {
    let config = ZplConfig { max_symbol_len: 40, ..ZplConfig::default() };
    let refused = |config: &ZplConfig, symbol: &[u8]| {
        assert_eq!(
            render(config, &job(symbol, true)).unwrap_err().kind,
            FaultKind::Unprintable,
            "{symbol:?}"
        );
    };
    for symbol in
        [&b""[..], b"a^b", b"a~b", b"a@1b", b"a\rb", b"a\x00b", b"a\x7fb", b"a\xd0b", b"\x1d01", &[b'a'; 41]]
    {
        refused(&config, symbol);
    }
    // 22×22 holds 30 codewords: ISO/IEC 16022, table 7. An FNC1 and 29 letters fit, 30 do not; digits
    // count in pairs.
    let size = SymbolSize::Fixed { columns: 22, rows: 22 };
    let config = ZplConfig { size, ..ZplConfig::default() };
    assert!(render(&config, &job(&[b'a'; 29], true)).is_ok());
    assert!(render(&config, &job(&[b'1'; 58], true)).is_ok());
    refused(&config, &[b'a'; 30]);
    let rectangle = ZplConfig { size: SymbolSize::Fixed { columns: 18, rows: 8 }, ..ZplConfig::default() };
    refused(&rectangle, b"a");
}

#[test]
fn all_82_characters_of_gs1_pass_unchanged() {
    let alphabet: Vec<u8> = (0x21..=0x7a_u8)
        .filter(|b| b.is_ascii_alphanumeric() || b"!\"%&'()*+,-./:;<=>?_".contains(b))
        .collect();
    assert_eq!(alphabet.len(), 82);
    let zpl = render(&ZplConfig::default(), &job(&alphabet, true)).unwrap();
    assert!(zpl.windows(82).any(|window| window == alphabet));
}
