//! Every text a person sees, by key.
//!
//! A text says what happened and then what to do. It knows no state and no device: values come as arguments for its
//! `{name}` placeholders, and a word that goes with a count as `{name: line|lines}`. Texts that are compared, parsed or stored are not here: those are keys.
//!
//! One folder a language, one file a part, one key a line, sorted. To add a language, copy the folder `en`, translate
//! it, and add a variant to [`Language`]; the tests below say what is missing.

use std::collections::BTreeMap;
use std::sync::OnceLock;

mod en;
mod ru;
#[cfg(test)]
mod tests;

/// Keys and texts of one part of one language.
type Table = &'static [(&'static str, &'static str)];

/// A language that the agent speaks. Uzbek (Latin and Cyrillic) and Kazakh are to come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub enum Language {
    En,
    #[default]
    Ru,
}

impl Language {
    pub const ALL: [Language; 2] = [Language::En, Language::Ru];

    /// The language tag, as in the configuration and in `Accept-Language`.
    pub fn tag(self) -> &'static str {
        match self {
            Language::En => "en",
            Language::Ru => "ru",
        }
    }

    /// The language of a tag: `ru`, `ru-RU` and `RU` are the same.
    pub fn parse(tag: &str) -> Option<Language> {
        let primary = tag.split(['-', '_', '.']).next().unwrap_or(tag);
        Language::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// Which of a word's forms goes with a count: English has two (1 line, 2 lines), Russian three (1 строка, 2 строки,
    /// 5 строк).
    fn form(self, count: u64) -> usize {
        match (self, count % 10, count % 100) {
            (Language::En, ..) => usize::from(count != 1),
            (Language::Ru, _, 11..=14) => 2,
            (Language::Ru, 1, _) => 0,
            (Language::Ru, 2..=4, _) => 1,
            (Language::Ru, ..) => 2,
        }
    }

    fn tables(self) -> &'static [Table] {
        match self {
            Language::En => en::TABLES,
            Language::Ru => ru::TABLES,
        }
    }

    fn catalogue(self) -> &'static BTreeMap<&'static str, &'static str> {
        static EN: OnceLock<BTreeMap<&str, &str>> = OnceLock::new();
        static RU: OnceLock<BTreeMap<&str, &str>> = OnceLock::new();
        let cell = match self {
            Language::En => &EN,
            Language::Ru => &RU,
        };
        cell.get_or_init(|| self.tables().iter().flat_map(|table| table.iter().copied()).collect())
    }
}

/// The text of `key` with its placeholders filled. A key that no table has is shown as it is: a person is better off
/// with a strange word than with a blank line. A placeholder without an argument stays.
pub fn say(language: Language, key: &str, args: &[(&str, &str)]) -> String {
    let Some(text) = language.catalogue().get(key) else {
        return key.to_owned();
    };
    let mut said = String::with_capacity(text.len() + 32);
    let mut rest = *text;
    while let Some(Placeholder { before, name, forms, after }) = placeholder(rest) {
        said.push_str(before);
        let value = args.iter().find(|(given, _)| *given == name).map(|(_, value)| *value);
        match (value, forms) {
            (Some(value), None) => said.push_str(value),
            (Some(value), Some(forms)) => said.push_str(form(language, value, forms)),
            (None, _) => said.push_str(&rest[before.len()..rest.len() - after.len()]),
        }
        rest = after;
    }
    said.push_str(rest);
    said
}

/// [`say`] for arguments that are owned, as refusals and problems carry them.
pub fn say_owned<K: AsRef<str>>(language: Language, key: &str, args: &[(K, String)]) -> String {
    let args: Vec<(&str, &str)> = args.iter().map(|(name, value)| (name.as_ref(), value.as_str())).collect();
    say(language, key, &args)
}

/// Whether the catalogue has the key; all languages have the same keys.
pub fn has(key: &str) -> bool {
    Language::En.catalogue().contains_key(key)
}

/// The keys that begin with `prefix`, sorted.
pub fn keys(prefix: &str) -> impl Iterator<Item = &'static str> {
    Language::En.catalogue().keys().copied().filter(move |key| key.starts_with(prefix))
}

/// The word that goes with this count. Of what is no number the last one: that is the word for many.
fn form<'t>(language: Language, value: &str, forms: &'t str) -> &'t str {
    let forms: Vec<&str> = forms.split('|').collect();
    let wanted = value.parse().map_or(usize::MAX, |count| language.form(count));
    forms.get(wanted).or(forms.last()).copied().unwrap_or_default()
}

/// A place in a text that is filled, and what stands around it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Placeholder<'t> {
    before: &'t str,
    name: &'t str,
    /// The forms of a word, in the language's order, of which the one that goes with the value is said.
    forms: Option<&'t str>,
    after: &'t str,
}

/// The first `{name}`, which is filled with the value, or `{name: line|lines}`, filled with the word that goes with it.
/// Braces around anything but a name of lower-case letters, digits and underscores are text.
fn placeholder(text: &str) -> Option<Placeholder<'_>> {
    let mut from = 0;
    while let Some(open) = text[from..].find('{') {
        let open = from + open;
        let after = &text[open + 1..];
        if let Some(close) = after.find('}') {
            let inside = &after[..close];
            let (name, forms) = inside.split_once(": ").map_or((inside, None), |(n, f)| (n, Some(f)));
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if !name.is_empty() && name.chars().all(is_name) {
                return Some(Placeholder { before: &text[..open], name, forms, after: &after[close + 1..] });
            }
        }
        from = open + 1;
    }
    None
}
