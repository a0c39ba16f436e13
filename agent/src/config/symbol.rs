//! Sizes of DataMatrix symbols (ECC 200), and whether a code fits into one.
//!
//! A printer that is told a size too small for the data prints no symbol at all, and says nothing.

use tamga_domain::layout::Form;
use tamga_drivers::printer::zpl_format::SymbolSize;

use super::raw::Section;

/// Side and data codewords of the squares of ISO/IEC 16022 that `^BX` can be told (9 to 49). The driver uses squares
/// only: rectangles need newer firmware.
const SQUARES: [(u8, usize); 14] = [
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
];

/// Data codewords of a size; `None` when there is no such symbol.
pub fn capacity(side: u8) -> Option<usize> {
    SQUARES.iter().find(|(known, _)| *known == side).map(|(_, codewords)| *codewords)
}

/// The side of the smallest square that holds so many codewords.
pub fn smallest(codewords: usize) -> Option<u8> {
    SQUARES.iter().find(|(_, capacity)| *capacity >= codewords).map(|(side, _)| *side)
}

/// Codewords that any code of the form needs at most, in ASCII encodation: two digits a codeword where digits are
/// certain (AIs, GTIN), one a character elsewhere.
pub fn codewords(form: &Form) -> usize {
    let tail: usize = form.tail.iter().map(|part| part.len + usize::from(form.gs1)).sum();
    let ais: usize = form.tail.iter().map(|part| part.ai.len().div_ceil(2)).sum();
    let gtin = 7;
    // FNC1, `01`, `21`: three codewords in front of a GS1 code's values.
    if form.gs1 { 3 + gtin + form.serial_len + tail + ais } else { gtin + form.serial_len + tail }
}

/// `columns` and `rows` of a table: both or none; a size that does not exist is noted.
pub fn read(section: &Section<'_>) -> SymbolSize {
    let side = |name| {
        let number = section.number(name, 9..=49, "why.symbol.side");
        number.and_then(|n| u8::try_from(n).ok())
    };
    match (side("columns"), side("rows")) {
        (Some(columns), Some(rows)) => {
            if columns != rows || capacity(columns).is_none() {
                let known: Vec<String> = SQUARES.iter().map(|(side, _)| format!("{side}×{side}")).collect();
                let problem = section.error("columns", "config.no_such_symbol");
                let problem = problem.with("columns", columns).with("rows", rows);
                section.notes.add(problem.with("known", known.join(", ")));
                return SymbolSize::Auto;
            }
            SymbolSize::Fixed { columns, rows }
        }
        (None, None) => SymbolSize::Auto,
        (Some(_), None) | (None, Some(_)) => {
            if section.notes.has(&section.key("columns")) != section.notes.has(&section.key("rows")) {
                section.notes.add(section.notes.error(section.path.clone(), "config.half_a_symbol"));
            }
            SymbolSize::Auto
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codewords_are_counted_as_the_standard_does() {
        // Water: FNC1 01 GTIN 21 13 characters GS 93 4 characters; trials gave 22×22 for it.
        let water = Form::gs1(13, &[("93", 4)]);
        assert_eq!(codewords(&water), 1 + 8 + 1 + 13 + 1 + 1 + 4);
        assert_eq!(smallest(codewords(&water)), Some(22));
        // Medicines: 13, 91 of 4, 92 of 44.
        assert_eq!(codewords(&Form::gs1(13, &[("91", 4), ("92", 44)])), 10 + 13 + 6 + 46);
        // Tobacco packs: 14 + 7 + 8 characters, no AIs.
        assert_eq!(codewords(&Form::plain(7, &[8])), 22);
        assert_eq!((capacity(26), capacity(28)), (Some(44), None));
    }
}
