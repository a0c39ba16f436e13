//! An error told with what caused it.

use std::error::Error;

/// An error with its sources, in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(one) = source {
        text.push_str(": ");
        text.push_str(&one.to_string());
        source = one.source();
    }
    text
}
