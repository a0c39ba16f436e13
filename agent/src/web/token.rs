//! The token of the API: 256 random bits in `<data>/api.token`, mode 0600.
//!
//! It is compared in constant time and never logged. A token that others could read is replaced: it is no secret any
//! more, and a window must not keep a line from starting.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The file's name in the data folder.
pub const FILE: &str = "api.token";

/// 32 bytes as hexadecimal digits.
const DIGITS: usize = 64;

#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; DIGITS]);

#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} holds no token: remove it, and the daemon makes a new one at its next start")]
    Malformed { path: PathBuf },
    #[error("the operating system gives no random bytes")]
    Random(#[source] io::Error),
}

impl TokenError {
    /// Whether there is no such file.
    pub fn is_missing(&self) -> bool {
        matches!(self, TokenError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl Token {
    /// The token of a data folder; made when there is none, when it is empty, or when others could read it.
    pub fn load_or_make(data: &Path) -> Result<Token, TokenError> {
        let path = data.join(FILE);
        match fs::metadata(&path) {
            Ok(found) if found.permissions().mode() & 0o007 != 0 => {
                tracing::warn!(path = %path.display(), "everybody could read the API token: a new one is made");
                Token::make(&path)
            }
            Ok(found) if found.len() == 0 => Token::make(&path),
            Ok(_) => Token::load(&path),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Token::make(&path),
            Err(source) => Err(TokenError::Read { path, source }),
        }
    }

    /// The token in a file.
    pub fn load(path: &Path) -> Result<Token, TokenError> {
        let text =
            fs::read_to_string(path).map_err(|source| TokenError::Read { path: path.to_owned(), source })?;
        Token::parse(text.trim()).ok_or_else(|| TokenError::Malformed { path: path.to_owned() })
    }

    /// 64 hexadecimal digits, or nothing.
    pub fn parse(text: &str) -> Option<Token> {
        let digits: [u8; DIGITS] = text.as_bytes().try_into().ok()?;
        digits.iter().all(|d| matches!(d, b'0'..=b'9' | b'a'..=b'f')).then_some(Token(digits))
    }

    /// Whether `given` is this token, in a time that does not depend on where they differ.
    pub fn is(&self, given: &[u8]) -> bool {
        if given.len() != DIGITS {
            return false;
        }
        let difference = self.0.iter().zip(given).fold(0_u8, |found, (a, b)| found | (a ^ b));
        std::hint::black_box(difference) == 0
    }

    /// The value for an `Authorization` header.
    pub fn bearer(&self) -> String {
        format!("Bearer {}", String::from_utf8_lossy(&self.0))
    }

    fn make(path: &Path) -> Result<Token, TokenError> {
        let mut bits = [0_u8; DIGITS / 2];
        File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut bits)).map_err(TokenError::Random)?;
        let text: String = bits.iter().map(|b| format!("{b:02x}")).collect();
        Token::keep(path, &text).map_err(|source| TokenError::Write { path: path.to_owned(), source })?;
        Token::parse(&text).ok_or_else(|| TokenError::Malformed { path: path.to_owned() })
    }

    /// Writes beside and renames, so that a power cut leaves the old token, none, or the new one whole.
    fn keep(path: &Path, text: &str) -> io::Result<()> {
        let beside = path.with_extension("new");
        match fs::remove_file(&beside) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        fs::rename(&beside, path)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("tamga-token-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_token_is_made_once_and_only_its_owner_reads_it() {
        let data = folder("once");
        let made = Token::load_or_make(&data).unwrap();
        assert_eq!(Token::load_or_make(&data).unwrap(), made);
        let mode = fs::metadata(data.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{made:?}").contains(&made.bearer()[7..15]));
        fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn a_token_that_everybody_could_read_is_replaced_and_a_torn_one_too() {
        let data = folder("world");
        let first = Token::load_or_make(&data).unwrap();
        fs::set_permissions(data.join(FILE), fs::Permissions::from_mode(0o644)).unwrap();
        let second = Token::load_or_make(&data).unwrap();
        assert_ne!(second, first);
        fs::write(data.join(FILE), "").unwrap();
        assert_ne!(Token::load_or_make(&data).unwrap(), second);
        fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let text = "0123456789abcdef".repeat(4);
        let token = Token::parse(&text).unwrap();
        assert!(token.is(text.as_bytes()));
        assert!(!token.is(&text.as_bytes()[1..]));
        assert!(!token.is("1123456789abcdef".repeat(4).as_bytes()));
        assert!(!token.is(b""));
        assert!(Token::parse("secret").is_none());
    }
}
