//! The command line.

#[rustfmt::skip]
pub const WORDS: super::super::Table = &[
    ("cli.check.ok", "Настройки {file} в порядке: линий {lines}, товаров {products}."),
    ("cli.check.warnings", "Настройками {file} можно пользоваться, но посмотрите предупреждения."),
];
