//! The dossier of a run, and whether one is whole.

#[rustfmt::skip]
pub const WORDS: super::super::Table = &[
    ("dossier.added", "{path}: line {line} DOES NOT BELONG HERE: it was added, or moved. Do not trust this file; ask for the one that was kept when the run was signed."),
    ("dossier.changed", "{path}: line {line} WAS CHANGED. Do not trust this file; ask for the one that was kept when the run was signed."),
    ("dossier.changed_here_or_next", "{path}: line {line} or the one after it WAS CHANGED. Do not trust this file; ask for the one that was kept when the run was signed."),
    ("dossier.compare", "{path}: whole, lines: {line}. Compare its head with the one that is printed on the sheet of the run:\n{head}"),
    ("dossier.cut_off", "{path}: THE END IS MISSING: line {line} is not there. Was it copied to its end? If so, do not trust this file; ask for the one that was kept when the run was signed."),
    ("dossier.missing", "{path}: line {line} IS NOT IN ITS PLACE: it was removed, or moved. Do not trust this file; ask for the one that was kept when the run was signed."),
    ("dossier.other_head", "{path}: whole in itself, but it is NOT THE ONE THAT WAS SIGNED: its head is {head}. Look whether the digits were typed right; if so, do not trust this file."),
    ("dossier.unreadable", "{path} cannot be read: {why}"),
    ("dossier.whole", "{path}: whole, lines: {line}. Its head is the one that was given."),
];
