//! Comma-separated values: RFC 4180, UTF-8, lines ended by CR LF.
//!
//! A spreadsheet takes what begins with `=`, `+`, `-` or `@` (or a tab, or a carriage return) for a formula and carries it
//! out. A code must stay exact to the byte, so it stands in no cell by its serial alone: the cell begins with `(01)` and
//! the GTIN, a pack's name with `(00)`, and neither is ever a formula or a number that loses its zeros; after the 22nd
//! character of a code all is its serial. A text of a person that begins so gets an apostrophe before it.

use super::Section;
use crate::web::dto::sheet::ListedCode;
use crate::words::{Language, say};

/// What a spreadsheet would carry out.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Appends one line of cells.
pub fn row(cells: impl IntoIterator<Item = impl AsRef<str>>, out: &mut String) {
    for (place, cell) in cells.into_iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        one(cell.as_ref(), out);
    }
    out.push_str("\r\n");
}

fn one(cell: &str, out: &mut String) {
    let guard = if cell.starts_with(FORMULA) { "'" } else { "" };
    let quoted = cell.contains(['"', ',', '\r', '\n']) || cell.starts_with(' ') || cell.ends_with(' ');
    if !quoted {
        out.push_str(guard);
        return out.push_str(cell);
    }
    out.push('"');
    out.push_str(guard);
    for c in cell.chars() {
        if c == '"' {
            out.push('"');
        }
        out.push(c);
    }
    out.push('"');
}

/// The counts and names of a sheet, one value a line: section, what it is of, what it is, value.
pub fn sheet(sections: &[Section], language: Language) -> String {
    let mut out = String::new();
    row(["section", "of", "what", "value"], &mut out);
    let word = |key: &str| say(language, key, &[]);
    for section in sections {
        let title = section.title.as_str();
        for cells in &section.rows {
            match (section.headings.is_empty(), cells.as_slice()) {
                (true, [label, value]) => row([title, "", label, value], &mut out),
                (_, [first, rest @ ..]) if !rest.is_empty() => {
                    for (heading, value) in section.headings.iter().skip(1).zip(rest) {
                        row([title, first, heading, value], &mut out);
                    }
                }
                (_, cells) => {
                    for (heading, value) in section.headings.iter().zip(cells) {
                        row([title, value, heading, value], &mut out);
                    }
                }
            }
        }
        if let Some(balanced) = section.balanced {
            let holds = if balanced { "sheet.holds" } else { "sheet.holds_not" };
            row([title, "", &word("cli.l_mark"), &word(holds)], &mut out);
        }
    }
    out
}

/// The columns of the list of codes. They are keys, the same in all languages.
pub const CODE_COLUMNS: [&str; 7] = ["code", "state", "pass", "held", "pack", "in", "in2"];

/// Appends one code of a run.
pub fn code(code: &ListedCode, out: &mut String) {
    let pass = code.pass.map(|pass| pass.to_string()).unwrap_or_default();
    let pack = |at: usize| code.packs.get(at).map(String::as_str).unwrap_or_default();
    let held = if code.held { "held" } else { "" };
    row([code.code.as_str(), &code.state, &pass, held, pack(0), pack(1), pack(2)], out);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tamga_domain::code::{Identity, Serial};
    use tamga_domain::gs1::Gtin;

    use super::*;

    /// A reader of RFC 4180, written by its rules and not by the writer's.
    fn parse(text: &str) -> Vec<Vec<String>> {
        let (mut rows, mut cells, mut cell) = (vec![], vec![], String::new());
        let mut chars = text.chars().peekable();
        let mut quoted = false;
        while let Some(c) = chars.next() {
            match (quoted, c) {
                (true, '"') if chars.peek() == Some(&'"') => {
                    chars.next();
                    cell.push('"');
                }
                (true, '"') => quoted = false,
                (true, c) => cell.push(c),
                (false, '"') if cell.is_empty() => quoted = true,
                (false, ',') => cells.push(std::mem::take(&mut cell)),
                (false, '\r') if chars.peek() == Some(&'\n') => {
                    chars.next();
                    cells.push(std::mem::take(&mut cell));
                    rows.push(std::mem::take(&mut cells));
                }
                (false, c) => cell.push(c),
            }
        }
        assert!(!quoted && cell.is_empty() && cells.is_empty(), "{text:?}");
        rows
    }

    /// Any serial that a code may have, and often one that begins like a formula.
    fn serial() -> impl Strategy<Value = Serial> {
        let alphabet: Vec<u8> = (0x21..=0x7a_u8).filter(|b| Serial::new(&[*b]).is_ok()).collect();
        let first =
            prop_oneof![prop::sample::select(b"=+-\"',&<%".to_vec()), prop::sample::select(alphabet.clone())];
        (first, prop::collection::vec(prop::sample::select(alphabet), 0..20)).prop_map(|(first, mut rest)| {
            rest.insert(0, first);
            rest.truncate(20);
            Serial::new(&rest).unwrap()
        })
    }

    proptest! {
        #[test]
        fn a_code_is_exact_to_the_byte_and_never_a_formula_or_a_number(serial in serial()) {
            let identity = Identity { gtin: Gtin::parse(b"04780012345677").unwrap(), serial };
            let listed = ListedCode {
                code: identity.to_string(),
                state: "applied".into(),
                pass: Some(7),
                held: false,
                packs: vec!["(00)047800010000000006".into(), "#12".into()],
            };
            let mut out = String::new();
            code(&listed, &mut out);
            let rows = parse(&out);
            prop_assert_eq!(rows.len(), 1);
            prop_assert_eq!(rows[0].len(), CODE_COLUMNS.len());
            let cell = &rows[0][0];
            prop_assert!(cell.starts_with("(01)04780012345677(21)") && cell.parse::<f64>().is_err());
            prop_assert_eq!(&cell.as_bytes()[22..], serial.as_bytes());
            prop_assert!(rows[0].iter().all(|cell| !cell.starts_with(FORMULA)));
            prop_assert_eq!(&rows[0][4..], &["(00)047800010000000006".to_owned(), "#12".to_owned(), String::new()]);
        }

        #[test]
        fn any_text_comes_back_and_none_is_carried_out(cells in prop::collection::vec("[-=+@\t\r\n\"', aя;<&]{0,8}", 1..5)) {
            let mut out = String::new();
            row(cells.iter().map(String::as_str), &mut out);
            let rows = parse(&out);
            prop_assert_eq!(rows.len(), 1);
            for (cell, told) in cells.iter().zip(&rows[0]) {
                let guarded = cell.starts_with(FORMULA);
                prop_assert_eq!(told.strip_prefix('\'').filter(|_| guarded).unwrap_or(told), cell.as_str());
                prop_assert!(!told.starts_with(FORMULA));
            }
        }
    }

    #[test]
    fn a_sheet_is_one_value_a_line() {
        let section = |headings: &[&str], rows: &[&[&str]], balanced| Section {
            title: "Codes, by block".into(),
            headings: headings.iter().map(|h| (*h).to_owned()).collect(),
            rows: rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect(),
            balanced,
            is_of_packs: false,
        };
        let sections = [
            section(&[], &[&["Batch", "=1+1"]], Some(false)),
            section(&["Block", "Received", "Pooled"], &[&["2 \"b\"", "10", "5"]], None),
            section(&["Code"], &[&["(01)1(21)x"]], None),
        ];
        let expected = "section,of,what,value\r\n\
                        \"Codes, by block\",,Batch,'=1+1\r\n\
                        \"Codes, by block\",,Balance,DOES NOT HOLD ≠\r\n\
                        \"Codes, by block\",\"2 \"\"b\"\"\",Received,10\r\n\
                        \"Codes, by block\",\"2 \"\"b\"\"\",Pooled,5\r\n\
                        \"Codes, by block\",(01)1(21)x,Code,(01)1(21)x\r\n";
        assert_eq!(sheet(&sections, Language::En), expected);
    }
}
