//! Splits a ZPL II byte stream into commands, one byte at a time, and decodes the escapes of `^BX` field data.
//!
//! Knows no label and no printer. A command is out as soon as the printer could know that it is complete: `~HS` at
//! its second letter, `^FD` at the next prefix. Any split of the stream gives the same commands.

/// Field data beyond this is cut off, as the guide says for `^BX`.
const PARAMS_MAX: usize = 3072;
const SGD_MAX: usize = 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// `^XX`: part of a format.
    Caret { name: [u8; 2], params: Vec<u8> },
    /// `~XX`: acts at once, wherever it stands.
    Tilde { name: [u8; 2], params: Vec<u8> },
    /// One Set-Get-Do line without its end: `! U1 getvar "odometer.total_label_count"`.
    Sgd(Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    Caret,
    Tilde,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Between,
    Prefix(Prefix),
    Name(Prefix, u8),
    Params { prefix: Prefix, name: [u8; 2], params: Vec<u8> },
    Sgd(Vec<u8>),
}

#[derive(Debug)]
pub struct Lexer {
    state: State,
    in_format: bool,
}

impl Default for Lexer {
    fn default() -> Self {
        Self { state: State::Between, in_format: false }
    }
}

impl Lexer {
    /// Takes one byte and appends the commands that it completes (at most two).
    pub fn push(&mut self, byte: u8, out: &mut Vec<Word>) {
        match byte {
            // STX and ETX stand for ^XA and ^XZ.
            0x02 => return self.whole(Prefix::Caret, *b"XA", out),
            0x03 => return self.whole(Prefix::Caret, *b"XZ", out),
            _ => {}
        }
        let sgd = matches!(self.state, State::Sgd(_));
        if !sgd && (byte == b'^' || byte == b'~') {
            self.finish(out);
            self.state = State::Prefix(if byte == b'^' { Prefix::Caret } else { Prefix::Tilde });
            return;
        }
        match &mut self.state {
            State::Between => {
                if byte == b'!' && !self.in_format {
                    self.state = State::Sgd(vec![byte]);
                }
            }
            State::Prefix(prefix) => {
                if !matches!(byte, b'\r' | b'\n') {
                    self.state = State::Name(*prefix, byte.to_ascii_uppercase());
                }
            }
            State::Name(prefix, first) => {
                let (prefix, name) = (*prefix, [*first, byte.to_ascii_uppercase()]);
                if takes_nothing(prefix, name) {
                    self.state = State::Between;
                    self.emit(prefix, name, Vec::new(), out);
                } else {
                    self.state = State::Params { prefix, name, params: Vec::new() };
                }
            }
            State::Params { prefix, name, params } => match (*prefix, byte) {
                (Prefix::Caret, b'\r' | b'\n') => {}
                (Prefix::Tilde, b'\r' | b'\n') => self.finish(out),
                _ => {
                    if params.len() < PARAMS_MAX {
                        params.push(byte);
                    }
                    if *prefix == Prefix::Tilde && name == b"HQ" && params.len() == 2 {
                        self.finish(out);
                    }
                }
            },
            State::Sgd(line) => {
                if matches!(byte, b'\r' | b'\n') {
                    let line = std::mem::take(line);
                    self.state = State::Between;
                    out.push(Word::Sgd(line));
                } else if line.len() < SGD_MAX {
                    line.push(byte);
                } else {
                    self.state = State::Between;
                }
            }
        }
    }

    /// Forgets the format now being received: what follows of it stands outside any format.
    pub fn drop_format(&mut self) {
        self.in_format = false;
    }

    fn whole(&mut self, prefix: Prefix, name: [u8; 2], out: &mut Vec<Word>) {
        self.finish(out);
        self.emit(prefix, name, Vec::new(), out);
    }

    fn finish(&mut self, out: &mut Vec<Word>) {
        if let State::Params { prefix, name, params } = std::mem::replace(&mut self.state, State::Between) {
            self.emit(prefix, name, params, out);
        }
    }

    fn emit(&mut self, prefix: Prefix, name: [u8; 2], params: Vec<u8>, out: &mut Vec<Word>) {
        match (prefix, &name) {
            (Prefix::Caret, b"XA") => self.in_format = true,
            (Prefix::Caret, b"XZ") => self.in_format = false,
            _ => {}
        }
        out.push(match prefix {
            Prefix::Caret => Word::Caret { name, params },
            Prefix::Tilde => Word::Tilde { name, params },
        });
    }
}

fn takes_nothing(prefix: Prefix, name: [u8; 2]) -> bool {
    match prefix {
        Prefix::Caret => matches!(&name, b"XA" | b"XZ" | b"FS"),
        Prefix::Tilde => {
            matches!(&name, b"HS" | b"HI" | b"HM" | b"JA" | b"JR" | b"JX" | b"PH" | b"PP" | b"PS")
        }
    }
}

/// The content of a DataMatrix symbol as a conforming reader gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// Element string; FNC1 inside is GS (0x1D), the leading FNC1 is no data.
    pub bytes: Vec<u8>,
    /// The symbol begins with FNC1.
    pub gs1: bool,
}

/// What `^BX` was told; `None` where a parameter was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bx {
    pub quality: Option<u32>,
    pub columns: u32,
    pub rows: u32,
    pub escape: Option<u8>,
    pub rectangular: bool,
}

impl Bx {
    /// Parses `o,h,s,c,r,f,g,a`.
    pub fn parse(params: &[u8]) -> Self {
        let mut parts = params.split(|&b| b == b',');
        let mut next = || parts.next().unwrap_or_default();
        let (_orientation, _height) = (next(), next());
        let quality = number(next());
        let columns = number(next()).filter(|&n| n <= 49).unwrap_or(0);
        let rows = number(next()).filter(|&n| n <= 49).unwrap_or(0);
        let _format = next();
        let escape = next().first().copied();
        let rectangular = next() == b"2";
        Self { quality, columns, rows, escape, rectangular }
    }

    /// The symbol that comes out for these field data; `None` where a real printer draws nothing a reader can read.
    pub fn symbol(&self, data: &[u8], escape_default: u8) -> Option<Symbol> {
        // The default quality is ECC 000, which today's readers do not read.
        if self.quality != Some(200) || data.is_empty() {
            return None;
        }
        let (symbol, codewords) = decode_escapes(data, self.escape.unwrap_or(escape_default))?;
        (codewords <= self.capacity()?).then_some(symbol)
    }

    /// Data codewords that fit; `None` for a size that does not exist.
    fn capacity(&self) -> Option<usize> {
        const SQUARE: [(u32, usize); 14] = [
            (10, 3),
            (12, 5),
            (14, 8),
            (16, 12),
            (18, 18),
            (20, 22),
            (22, 30),
            (24, 36),
            (26, 44),
            (32, 62),
            (36, 86),
            (40, 114),
            (44, 144),
            (48, 174),
        ];
        const RECTANGLE: [((u32, u32), usize); 6] =
            [((8, 18), 5), ((8, 32), 10), ((12, 26), 16), ((12, 36), 22), ((16, 36), 32), ((16, 48), 49)];
        match (self.rows, self.columns) {
            (0, 0) if self.rectangular => Some(49),
            (0, 0) => Some(1558),
            (rows, columns) if self.rectangular => {
                RECTANGLE.iter().find(|(size, _)| *size == (rows, columns)).map(|(_, capacity)| *capacity)
            }
            (rows, columns) => {
                let side = rows.max(columns);
                let square = rows == columns || rows == 0 || columns == 0;
                SQUARE.iter().find(|(s, _)| square && *s == side).map(|(_, capacity)| *capacity)
            }
        }
    }
}

/// Reads escapes of quality 200 and counts codewords in plain ASCII encodation, which no printer exceeds.
fn decode_escapes(data: &[u8], escape: u8) -> Option<(Symbol, usize)> {
    let mut symbol = Symbol { bytes: Vec::with_capacity(data.len()), gs1: false };
    let mut codewords = 0;
    let mut rest = data;
    let mut digit_open = false;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        let mut plain = *byte;
        if *byte == escape {
            let [kind, tail @ ..] = rest else { return None };
            rest = tail;
            match kind {
                k if *k == escape => plain = escape,
                b'1' => {
                    digit_open = false;
                    codewords += 1;
                    if codewords == 1 {
                        symbol.gs1 = true;
                    } else {
                        symbol.bytes.push(0x1D);
                    }
                    continue;
                }
                // PAD: a reader stops there.
                b'0' => break,
                b'2' if codewords == 0 => {
                    rest = digits(rest, 9)?.1;
                    codewords += 4;
                    continue;
                }
                b'5' => {
                    rest = digits(rest, 3)?.1;
                    codewords += 2;
                    continue;
                }
                b'd' => {
                    let (value, tail) = digits(rest, 3)?;
                    rest = tail;
                    plain = u8::try_from(value).ok()?;
                }
                b'@'..=b'_' => plain = kind - b'@',
                _ => return None,
            }
        }
        symbol.bytes.push(plain);
        if plain.is_ascii_digit() && digit_open {
            // The second digit of a pair shares the codeword of the first.
            digit_open = false;
        } else {
            digit_open = plain.is_ascii_digit();
            codewords += if plain < 128 { 1 } else { 2 };
        }
    }
    Some((symbol, codewords))
}

fn digits(bytes: &[u8], count: usize) -> Option<(u32, &[u8])> {
    let (head, tail) = bytes.split_at_checked(count)?;
    Some((number(head)?, tail))
}

/// A decimal number of ASCII digits and nothing else.
pub fn number(bytes: &[u8]) -> Option<u32> {
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}
