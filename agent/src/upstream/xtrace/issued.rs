//! The codes of a block's body, byte by byte as issued.

use serde::Deserialize;

/// A block as upstream gives it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Block {
    pub codes: Vec<String>,
    pub pack_id: String,
}

/// Why a stored body has no codes.
#[derive(Debug, thiserror::Error)]
#[error("the body of a block is not readable")]
pub struct NotABlock(#[from] serde_json::Error);

/// The codes of a body that was stored. JSON's escapes are undone (`\u001d` is the byte 0x1D), nothing else.
pub fn codes_of(body: &[u8]) -> Result<Vec<Vec<u8>>, NotABlock> {
    let block: Block = serde_json::from_slice(body)?;
    Ok(block.codes.into_iter().map(String::into_bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_of_a_code_is_changed() {
        // An escaped separator in both spellings, a quote, a slash both ways, spaces at the ends.
        let body = br#"{"codes":["01\u001d93AB","\u001D","a\"b","a\/b/c"," x "],"packId":"p"}"#;
        let want: [&[u8]; 5] = [b"01\x1d93AB", b"\x1d", b"a\"b", b"a/b/c", b" x "];
        assert_eq!(codes_of(body).unwrap(), want);
    }

    #[test]
    fn half_a_body_is_no_block() {
        assert!(codes_of(br#"{"codes":["01\u001d93AB","#).is_err());
        assert!(codes_of(b"<html>").is_err());
    }
}
