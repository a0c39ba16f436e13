//! Sizes of DataMatrix symbols (ECC 200), and whether a code fits into one.
//!
//! A printer that is told a size too small for the data prints no symbol at all, and says nothing.

use tamga_domain::layout::Form;

use super::raw::Section;

/// The size that a printer is told to use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SymbolSize {
    pub columns: u16,
    pub rows: u16,
}

/// Rows, columns, data codewords: the sizes of ISO/IEC 16022 that `^BX` can be told (9 to 49).
const SIZES: [(u16, u16, usize); 18] = [
    (10, 10, 3),
    (12, 12, 5),
    (14, 14, 8),
    (16, 16, 12),
    (18, 18, 18),
    (20, 20, 22),
    (22, 22, 30),
    (24, 24, 36),
    (26, 26, 44),
    (32, 32, 62),
    (36, 36, 86),
    (40, 40, 114),
    (44, 44, 144),
    (48, 48, 174),
    (12, 26, 16),
    (12, 36, 22),
    (16, 36, 32),
    (16, 48, 49),
];

/// Squares alone: what a printer picks when it is told nothing.
fn squares() -> impl Iterator<Item = (SymbolSize, usize)> {
    let square = |(rows, columns, codewords): &(u16, u16, usize)| {
        (rows == columns).then_some((SymbolSize { columns: *columns, rows: *rows }, *codewords))
    };
    SIZES.iter().filter_map(square)
}

/// Data codewords of a size; `None` when there is no such symbol.
pub fn capacity(size: SymbolSize) -> Option<usize> {
    let same = |(rows, columns, _): &&(u16, u16, usize)| (*rows, *columns) == (size.rows, size.columns);
    SIZES.iter().find(same).map(|(_, _, codewords)| *codewords)
}

/// The smallest square that holds so many codewords.
pub fn smallest(codewords: usize) -> Option<SymbolSize> {
    squares().find(|(_, capacity)| *capacity >= codewords).map(|(size, _)| size)
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
pub fn read(section: &Section<'_>) -> Option<SymbolSize> {
    let side = |name| {
        let number = section.number(name, 9..=49, "why.symbol.side");
        number.and_then(|n| u16::try_from(n).ok())
    };
    let (columns, rows) = (side("columns"), side("rows"));
    match (columns, rows) {
        (Some(columns), Some(rows)) => {
            let size = SymbolSize { columns, rows };
            if capacity(size).is_none() {
                let known: Vec<String> = SIZES.iter().map(|(r, c, _)| format!("{c}×{r}")).collect();
                let problem = section.error("columns", "config.no_such_symbol");
                let problem = problem.with("columns", columns).with("rows", rows);
                section.notes.add(problem.with("known", known.join(", ")));
                return None;
            }
            Some(size)
        }
        (None, None) => None,
        _ => {
            section.notes.add(section.notes.error(section.path.clone(), "config.half_a_symbol"));
            None
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
        assert_eq!(smallest(codewords(&water)), Some(SymbolSize { columns: 22, rows: 22 }));
        // Medicines: 13, 91 of 4, 92 of 44.
        assert_eq!(codewords(&Form::gs1(13, &[("91", 4), ("92", 44)])), 10 + 13 + 6 + 46);
        // Tobacco packs: 14 + 7 + 8 characters, no AIs.
        assert_eq!(codewords(&Form::plain(7, &[8])), 22);
        assert_eq!(capacity(SymbolSize { columns: 26, rows: 12 }), Some(16));
        assert_eq!(capacity(SymbolSize { columns: 28, rows: 28 }), None);
    }
}
