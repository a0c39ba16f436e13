//! The command line.

#[rustfmt::skip]
pub const WORDS: super::super::Table = &[
    ("cli.check.ok", "The configuration {file} is in order: {lines} lines, {products} products."),
    ("cli.check.warnings", "The configuration {file} can be used, but see the warnings."),
];
