//! ZPL II formats: one label to bytes, or a reason why ZPL cannot carry it exactly.
//!
//! Rules (Zebra "ZPL II Programming Guide" P1099958, `^BX`, `^JZ`, `^PQ`, `^DF`, `^FH`): quality 200
//! always given; escape character `@` always given, since its default differs between firmwares and
//! `@` is no GS1 character; a GS1-128 (`^BC`, table of invocation characters) without a mode, begun by `>;` (subset C) and
//! `>8` (FNC1), so that nothing is left to the printer; `^JZN` in every format, since reprinting after an error is on again after
//! each power-up; one copy, always said. The element string is never changed.

use std::fmt::Write as _;

use super::Job;
use crate::fault::{Fault, FaultKind};

/// How the parts of an element string are separated in the symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Separator {
    /// FNC1, codeword 232.
    #[default]
    Fnc1,
    /// The character GS, codeword 30. Readers give the same bytes for both.
    Gs,
}

/// How large the symbol is, in modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SymbolSize {
    /// The printer chooses the smallest that fits.
    #[default]
    Auto,
    /// This size always; a job that would not fit is refused, since the printer would print nothing.
    Fixed {
        /// 10 to 48.
        columns: u8,
        /// 10 to 48.
        rows: u8,
    },
    /// The smallest square that surely fits, however the printer encodes.
    ByLength,
}

/// One line of text on the label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextField {
    /// Left edge in dots.
    pub x: u32,
    /// Top edge in dots.
    pub y: u32,
    /// Height of the letters in dots.
    pub height_dots: u32,
    /// Text with names in braces, as `{batch} {expiry}`; an unknown name stays empty.
    pub template: String,
}

/// A GS1-128 bar code beside the symbol, with the same data: for scanners that read no DataMatrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    /// Left edge of the first bar in dots.
    pub x: u32,
    /// Top edge in dots.
    pub y: u32,
    /// Width of one module.
    pub module_dots: u32,
    /// Height of the bars.
    pub height_dots: u32,
}

impl Bar {
    /// Modules of a bar code with so many digits, quiet zones left out: start, FNC1, one for two digits and check character
    /// have 11 each, stop has 13 (ISO/IEC 15417).
    pub fn modules(digits: u32) -> u32 {
        11 * (3 + digits.div_ceil(2)) + 13
    }
}

/// One printer's label and habits. All lengths are dots of its print head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZplConfig {
    /// Labels handed over and not yet confirmed, at most. It bounds what is in doubt after a cut.
    pub window: u32,
    /// Size of one module.
    pub module_dots: u32,
    /// Size of the symbol.
    pub size: SymbolSize,
    /// Left edge of the symbol.
    pub x: u32,
    /// Top edge of the symbol.
    pub y: u32,
    /// Width of the label.
    pub label_width_dots: u32,
    /// Length of the label.
    pub label_length_dots: u32,
    /// Between the parts of a GS1 symbol.
    pub separator: Separator,
    /// Text beside the symbol.
    pub texts: Vec<TextField>,
    /// A bar code beside the symbol: only for symbols of an even number of digits.
    pub bar: Option<Bar>,
    /// Name of a format kept in the printer, as `E:TAMGA.ZPL` or `R:TAMGA.ZPL`; fewer bytes a label.
    pub stored_format: Option<String>,
    /// Milliseconds between two looks at the printer.
    pub poll_ms: u64,
    /// Milliseconds after which an unanswered `~HS` means that the printer is blocked.
    pub status_timeout_ms: u64,
    /// Looks in a row at an idle printer after which jobs that the counter does not cover are in doubt.
    pub idle_polls: u32,
    /// Read the printer's label counter. Without it no job is ever confirmed.
    pub odometer: bool,
    /// Longest element string in bytes.
    pub max_symbol_len: usize,
}

impl Default for ZplConfig {
    fn default() -> Self {
        Self {
            window: 4,
            module_dots: 8,
            size: SymbolSize::Auto,
            x: 60,
            y: 60,
            label_width_dots: 400,
            label_length_dots: 400,
            separator: Separator::Fnc1,
            texts: Vec::new(),
            bar: None,
            stored_format: None,
            poll_ms: 100,
            status_timeout_ms: 1000,
            idle_polls: 20,
            odometer: true,
            max_symbol_len: 256,
        }
    }
}

/// Square symbols of ECC 200 and their data codewords: ISO/IEC 16022, table 7. `^BX` takes sizes up
/// to 49, so larger ones are not listed.
const SQUARES: [(u8, usize); 15] = [
    (10, 3),
    (12, 5),
    (14, 8),
    (16, 12),
    (18, 18),
    (20, 22),
    (22, 30),
    (24, 36),
    (26, 44),
    (32, 62),
    (36, 86),
    (40, 114),
    (44, 144),
    (48, 174),
    (0, usize::MAX),
];

const GS: u8 = 0x1d;

/// The least height of font 0.
const TEST_HEIGHT_DOTS_MIN: u32 = 10;

/// Renders one job as the bytes for the printer.
///
/// # Errors
/// `Unprintable` when the symbol is empty or too long, does not fit a fixed size, or has a byte that
/// ZPL cannot carry exactly: `^`, `~`, `@`, a control character other than GS, or one above 0x7E; and
/// when there is to be a bar code and the symbol is not an even number of digits.
pub fn render(config: &ZplConfig, job: &Job) -> Result<Vec<u8>, Fault> {
    let symbol = symbol_data(config, job)?;
    let bar = match config.bar.filter(|_| !job.is_test()) {
        Some(bar) => Some((bar, bar_data(job)?)),
        None => None,
    };
    let mut zpl = String::from("^XA^JZN");
    match &config.stored_format {
        Some(name) if !job.is_test() => {
            write_to(&mut zpl, format_args!("^XF{name}^FS^FN1^FD{symbol}^FS"));
            for (number, text) in (2..).zip(&config.texts) {
                let value = escape_text(&fill(&text.template, &job.fields));
                write_to(&mut zpl, format_args!("^FN{number}^FH_^FD{value}^FS"));
            }
            if let Some((_, digits)) = bar {
                write_to(&mut zpl, format_args!("^FN{}^FD>;>8{digits}^FS", config.texts.len() + 2));
            }
        }
        Some(_) | None => {
            head(&mut zpl, config);
            symbol_field(&mut zpl, config, size_of(config, job));
            write_to(&mut zpl, format_args!("^FD{symbol}^FS"));
            if job.is_test() {
                let Word { x, y, height } = test_word(config, job);
                write_to(&mut zpl, format_args!("^FO{x},{y}^A0N,{height},{height}^FDTEST^FS"));
            }
            // A test print has no other text: TEST needs the room, and nothing shall make it look like a mark.
            for text in config.texts.iter().filter(|_| !job.is_test()) {
                let value = escape_text(&fill(&text.template, &job.fields));
                text_field(&mut zpl, text);
                write_to(&mut zpl, format_args!("^FH_^FD{value}^FS"));
            }
            if let Some((bar, digits)) = bar {
                bar_field(&mut zpl, bar);
                write_to(&mut zpl, format_args!("^FD>;>8{digits}^FS"));
            }
        }
    }
    zpl.push_str("^PQ1,0,0,N^XZ");
    Ok(zpl.into_bytes())
}

/// Renders the format to be kept in the printer, if one is configured.
pub fn stored(config: &ZplConfig) -> Option<Vec<u8>> {
    let name = config.stored_format.as_ref()?;
    let mut zpl = format!("^XA^JZN^DF{name}^FS");
    head(&mut zpl, config);
    symbol_field(&mut zpl, config, stored_size(config));
    zpl.push_str("^FN1^FS");
    for (number, text) in (2..).zip(&config.texts) {
        text_field(&mut zpl, text);
        write_to(&mut zpl, format_args!("^FN{number}^FS"));
    }
    if let Some(bar) = config.bar {
        bar_field(&mut zpl, bar);
        write_to(&mut zpl, format_args!("^FN{}^FS", config.texts.len() + 2));
    }
    zpl.push_str("^XZ");
    Some(zpl.into_bytes())
}

/// Renders a test label: no code of any pool, marked TEST in letters and in the symbol.
pub fn test_label(config: &ZplConfig, note: &str) -> Vec<u8> {
    let job = Job::test(super::JobId(0), note);
    let roomy = ZplConfig { size: SymbolSize::Auto, max_symbol_len: 256, ..config.clone() };
    render(&roomy, &job).expect("a test symbol is short and holds letters, digits and blanks only")
}

/// Renders the field data of the symbol and proves that it fits.
fn symbol_data(config: &ZplConfig, job: &Job) -> Result<String, Fault> {
    let refuse = |why: String| Err(Fault::new(FaultKind::Unprintable, why));
    let symbol = &job.symbol;
    if symbol.is_empty() || symbol.len() > config.max_symbol_len {
        return refuse(format!("{} bytes, allowed are 1 to {}", symbol.len(), config.max_symbol_len));
    }
    if symbol[0] == GS {
        return refuse("the element string begins with GS".to_owned());
    }
    let separator = match (job.gs1, config.separator) {
        (true, Separator::Fnc1) => "@1",
        (true, Separator::Gs) | (false, _) => "@d029",
    };
    let mut data = String::from(if job.gs1 { "@1" } else { "" });
    for (place, &byte) in symbol.iter().enumerate() {
        match byte {
            GS => data.push_str(separator),
            b'^' | b'~' | b'@' | 0..0x20 | 0x7f.. => {
                return refuse(format!("byte 0x{byte:02X} at {place} has no exact form in ZPL"));
            }
            0x20..=0x7e => data.push(char::from(byte)),
        }
    }
    // A test print takes whatever size it needs: it is no mark.
    if let SymbolSize::Fixed { columns, rows } = config.size
        && !job.is_test()
    {
        let room = capacity(columns, rows);
        let needed = codewords(symbol, job.gs1);
        if needed > room {
            return refuse(format!("needs {needed} codewords, {columns}x{rows} holds {room}"));
        }
    }
    Ok(data)
}

/// The digits of a GS1-128: subset C takes pairs, and would drop a single one without a word.
fn bar_data(job: &Job) -> Result<&str, Fault> {
    let digits = std::str::from_utf8(&job.symbol).ok().filter(|text| {
        job.gs1 && text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_digit())
    });
    digits.ok_or_else(|| Fault::new(FaultKind::Unprintable, "a bar code takes an even number of digits"))
}

fn bar_field(zpl: &mut String, bar: Bar) {
    let Bar { x, y, module_dots, height_dots } = bar;
    write_to(zpl, format_args!("^FO{x},{y}^BY{module_dots}^BCN,{height_dots},N,N,N,N"));
}

fn head(zpl: &mut String, config: &ZplConfig) {
    if !config.texts.is_empty() {
        zpl.push_str("^CI28");
    }
    write_to(zpl, format_args!("^PW{}^LL{}^LH0,0", config.label_width_dots, config.label_length_dots));
}

fn symbol_field(zpl: &mut String, config: &ZplConfig, size: Option<(u8, u8)>) {
    write_to(zpl, format_args!("^FO{},{}^BXN,{},200,", config.x, config.y, config.module_dots));
    match size {
        Some((columns, rows)) => write_to(zpl, format_args!("{columns},{rows},,@")),
        None => zpl.push_str("0,0,,@"),
    }
}

fn text_field(zpl: &mut String, text: &TextField) {
    write_to(zpl, format_args!("^FO{},{}^A0N,{2},{2}", text.x, text.y, text.height_dots));
}

/// The word TEST on a label: its top left corner and the height of its letters, in dots.
struct Word {
    x: u32,
    y: u32,
    height: u32,
}

/// Finds the place of the word TEST: the strip below, above, right or left of the symbol and its quiet
/// zone that takes the largest letters, up to a sixth of the label's length.
///
/// A label without room for letters of ten dots, the least of font 0, gets them all the same, at the
/// end of the label: a symbol that is not read is a smaller harm than a test print without the word.
fn test_word(config: &ZplConfig, job: &Job) -> Word {
    let edge = config.module_dots;
    let modules = square_for(codewords(&job.symbol, job.gs1)).map_or(48, |(side, _)| u32::from(side));
    // One module of quiet zone, and one since round letters rise above their cell.
    let side = modules.saturating_add(2).saturating_mul(edge);
    let (right, below) = (config.x.saturating_add(side), config.y.saturating_add(side));
    let (width, length) = (config.label_width_dots, config.label_length_dots);
    let strips = [
        (edge, below, width, length),
        (edge, edge, width, config.y),
        (right, edge, width, length),
        (edge, edge, config.x, length),
    ];
    let words = strips.map(|(x, y, to_x, to_y)| {
        let room = to_y.saturating_sub(y.saturating_add(edge));
        // Font 0 draws the four letters a little over two heights wide.
        let wide = to_x.saturating_sub(x.saturating_add(edge)) / 5 * 2;
        Word { x, y, height: room.min(wide).min(length / 6) }
    });
    // The first of the largest: `max_by_key` takes the last.
    let largest = words.into_iter().rev().max_by_key(|word| word.height);
    let fallback =
        Word { x: edge, y: length.saturating_sub(TEST_HEIGHT_DOTS_MIN), height: TEST_HEIGHT_DOTS_MIN };
    largest.filter(|word| word.height >= TEST_HEIGHT_DOTS_MIN).unwrap_or(fallback)
}

fn size_of(config: &ZplConfig, job: &Job) -> Option<(u8, u8)> {
    match config.size {
        SymbolSize::Fixed { columns, rows } if !job.is_test() => Some((columns, rows)),
        SymbolSize::Auto | SymbolSize::Fixed { .. } => None,
        SymbolSize::ByLength => square_for(codewords(&job.symbol, job.gs1)),
    }
}

/// A stored format serves every job, so its size is that of the longest element string allowed.
fn stored_size(config: &ZplConfig) -> Option<(u8, u8)> {
    match config.size {
        SymbolSize::Auto => None,
        SymbolSize::Fixed { columns, rows } => Some((columns, rows)),
        SymbolSize::ByLength => square_for(config.max_symbol_len + 1),
    }
}

fn square_for(codewords: usize) -> Option<(u8, u8)> {
    SQUARES
        .iter()
        .find(|(_, room)| *room >= codewords)
        .filter(|(side, _)| *side > 0)
        .map(|(side, _)| (*side, *side))
}

/// Returns the data codewords of a size: 0 where `^BX` and ECC 200 know no such square.
fn capacity(columns: u8, rows: u8) -> usize {
    let square = SQUARES.iter().find(|(side, _)| *side == columns && columns == rows && *side > 0);
    square.map_or(0, |(_, room)| *room)
}

/// Counts the codewords of plain ASCII encodation, which any other choice of an encoder undercuts:
/// one for two digits, one for any other byte, one for FNC1.
fn codewords(symbol: &[u8], gs1: bool) -> usize {
    let mut count = usize::from(gs1);
    let mut rest = symbol;
    while let [first, tail @ ..] = rest {
        rest = match tail {
            [second, beyond @ ..] if first.is_ascii_digit() && second.is_ascii_digit() => beyond,
            _ => tail,
        };
        count += 1;
    }
    count
}

/// Puts the values of the fields in the place of their names.
fn fill(template: &str, fields: &[(String, String)]) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        text.push_str(before);
        let Some((name, after)) = behind.split_once('}') else {
            text.push('{');
            rest = behind;
            break;
        };
        text.extend(fields.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str()));
        rest = after;
    }
    text.push_str(rest);
    text
}

/// Writes a text for `^FH_^FD`: all bytes that could mean something to ZPL, and all of UTF-8 beyond
/// ASCII, as `_XX`.
fn escape_text(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'^' | b'~' | b'_' | b'\\' | 0..0x20 | 0x7f.. => {
                write_to(&mut escaped, format_args!("_{byte:02X}"))
            }
            0x20..=0x7e => escaped.push(char::from(byte)),
        }
    }
    escaped
}

fn write_to(zpl: &mut String, piece: std::fmt::Arguments<'_>) {
    zpl.write_fmt(piece).expect("writing to a String cannot fail");
}
