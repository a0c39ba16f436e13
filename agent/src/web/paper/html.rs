//! The sheet as one page that prints on A4: no script, no picture, nothing from elsewhere. Whether a balance holds is said
//! in words; black and white lose nothing.

use super::Section;
use crate::web::dto;
use crate::web::dto::sheet::ListedCode;
use crate::words::{Language, say};

const STYLE: &str = "\
@page{size:A4;margin:14mm 12mm 16mm}\
*{box-sizing:border-box}\
body{font:10pt/1.35 \"DejaVu Sans\",Arial,sans-serif;color:#000;background:#fff;margin:0 auto;max-width:190mm}\
h1{font-size:15pt;margin:0 0 2mm}\
h2{font-size:11pt;margin:5mm 0 1mm;break-after:avoid}\
p{margin:1mm 0}\
.verdict{border:1.5pt solid #000;padding:1.5mm 3mm;font-weight:bold;font-size:11pt}\
table{border-collapse:collapse;width:100%;table-layout:auto}\
thead{display:table-header-group}\
tr{break-inside:avoid}\
th,td{border:.5pt solid #666;padding:.6mm 1.2mm;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
th{background:#eee;font-weight:bold}\
td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\
table.wide{font-size:7.5pt}\
td.c,.head{font-family:\"DejaVu Sans Mono\",monospace;font-size:8.5pt}\
.sign{margin-top:10mm;break-inside:avoid}\
.sign td{border:0;padding:6mm 2mm 0}\
.rule{border-bottom:.5pt solid #000;display:inline-block;width:45mm}\
@media screen{body{padding:8mm}}";

/// A text as it may stand anywhere in a page. A control character is shown by its picture.
pub fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // ␀ and those after it.
            c if u32::from(c) < 0x20 => out.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('?')),
            c => out.push(c),
        }
    }
}

fn cell(tag: &str, class: &str, text: &str, out: &mut String) {
    out.push('<');
    out.push_str(tag);
    if !class.is_empty() {
        out.push_str(" class=");
        out.push_str(class);
    }
    out.push('>');
    escape(text, out);
    out.push_str("</");
    out.push_str(tag);
    out.push('>');
}

/// How a cell stands: numbers to the right, codes and names in letters of one width.
fn class_of(text: &str) -> &'static str {
    let is_hash = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    match text {
        text if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => "n",
        text if text.starts_with("(0") || is_hash => "c",
        _ => "",
    }
}

/// The page up to the list of codes.
pub fn begin(sheet: &dto::Sheet, sections: &[Section], agent: &str, now: &str, language: Language) -> String {
    let word = |key: &str| say(language, key, &[]);
    let mut out = String::with_capacity(16 * 1024);
    out.push_str("<!DOCTYPE html>\n<html lang=\"");
    out.push_str(language.tag());
    out.push_str("\"><head><meta charset=\"utf-8\"><title>");
    let title = say(language, "sheet.title", &[("run", &sheet.run.to_string()), ("line", &sheet.line)]);
    escape(&title, &mut out);
    out.push_str("</title><style>");
    out.push_str(STYLE);
    out.push_str("</style></head>\n<body>");
    cell("h1", "", &title, &mut out);
    out.push('\n');
    let verdict = if sheet.balanced { "cli.balanced" } else { "cli.not_balanced" };
    cell("p", "verdict", &word(verdict), &mut out);
    let settled = if sheet.unsettled.is_empty() { "sheet.all_settled" } else { "sheet.not_settled" };
    cell("p", "", &word(settled), &mut out);
    out.push('\n');
    for section in sections {
        one(section, language, &mut out);
    }
    if sheet.signed.is_empty() {
        cell("p", "", &word("sheet.unsigned"), &mut out);
    }
    let made = say(language, "sheet.made", &[("agent", agent), ("at", now)]);
    cell("p", "", &made, &mut out);
    out.push('\n');
    out
}

fn one(section: &Section, language: Language, out: &mut String) {
    cell("h2", "", &section.title, out);
    if let Some(balanced) = section.balanced {
        let key = if balanced { "sheet.holds" } else { "sheet.holds_not" };
        cell("p", "", &say(language, key, &[]), out);
    }
    out.push_str(if section.headings.len() > 8 { "<table class=wide>" } else { "<table>" });
    if !section.headings.is_empty() {
        out.push_str("<thead><tr>");
        section.headings.iter().for_each(|heading| cell("th", "", heading, out));
        out.push_str("</tr></thead>");
    }
    out.push_str("<tbody>\n");
    for cells in &section.rows {
        out.push_str("<tr>");
        for (place, text) in cells.iter().enumerate() {
            let tag = if place == 0 && section.headings.is_empty() { "th" } else { "td" };
            cell(tag, class_of(text), text, out);
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table>\n");
}

/// What stands before the list of codes.
pub fn begin_codes(language: Language, out: &mut String) {
    let word = |key: &str| say(language, key, &[]);
    cell("h2", "", &word("sheet.codes"), out);
    out.push_str("<table><thead><tr>");
    for key in ["cli.l_code", "cli.l_state", "cli.l_in_pack", "sheet.l_in"] {
        cell("th", "", &word(key), out);
    }
    out.push_str("</tr></thead><tbody>\n");
}

/// One code of the list.
pub fn code(code: &ListedCode, language: Language, out: &mut String) {
    out.push_str("<tr>");
    cell("td", "c", &code.code, out);
    let mut state = say(language, &format!("code.{}", code.state), &[]);
    if code.held {
        state.push_str(" · ");
        state.push_str(&say(language, "sheet.held", &[]));
    }
    cell("td", "", &state, out);
    cell("td", "c", code.packs.first().map(String::as_str).unwrap_or_default(), out);
    cell("td", "c", &code.packs.get(1..).unwrap_or_default().join(" "), out);
    out.push_str("</tr>\n");
}

pub fn end_codes(out: &mut String) {
    out.push_str("</tbody></table>\n");
}

/// The place for a pen, and the end of the page.
pub fn end(language: Language) -> String {
    let mut out = String::from("<table class=sign><tbody><tr>");
    for key in ["sheet.pen_name", "sheet.pen_date", "sheet.pen_signature"] {
        out.push_str("<td>");
        escape(&say(language, key, &[]), &mut out);
        out.push_str(" <span class=rule></span></td>");
    }
    out.push_str("</tr></tbody></table>\n</body></html>\n");
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The text of escaped HTML, by the five names that are used.
    fn unescape(html: &str) -> String {
        html.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&amp;", "&")
    }

    proptest! {
        #[test]
        fn any_text_is_text_in_the_page(text in "[<>&\"'=;#a-z я\u{1d}]{0,20}") {
            let mut out = String::new();
            escape(&text, &mut out);
            let bare = out.contains(['<', '>', '"', '\'', '\u{1d}']);
            prop_assert!(!bare);
            prop_assert_eq!(unescape(&out), text.replace('\u{1d}', "\u{241d}"));
        }

        #[test]
        fn a_code_in_the_page_is_exact(serial in "[!-Z_a-z]{1,20}") {
            let told = format!("(01)04780012345677(21){serial}");
            let listed = ListedCode { code: told.clone(), state: "applied".into(), pass: None, held: true, packs: vec![] };
            let mut out = String::new();
            code(&listed, Language::En, &mut out);
            let cell = out.split_once("<td class=c>").and_then(|(_, rest)| rest.split_once("</td>")).map(|(cell, _)| cell);
            prop_assert_eq!(unescape(cell.unwrap_or_default()), told);
            prop_assert_eq!(out.matches('<').count(), 10);
        }
    }
}
