//! Which bytes of a device's stream are a verification tail.
//!
//! The trace knows no layouts, so the rule is generic and errs to the side of hiding. A *frame* ends
//! at a control character (GS apart) or at `^`. Within a frame:
//!
//! 1. what follows a GS that is not the frame's first byte is hidden;
//! 2. what follows an `@` is hidden (ZPL: `@1`, `@d029`), but for the one right behind `^FD`;
//! 3. every code begins with fourteen digits of a GTIN, so after fourteen digits in a row ten more
//!    bytes are shown: `01` GTIN `21` and a serial of 6 (24 bytes) or GTIN, serial and price of a
//!    tobacco pack (25) end there at the earliest; a tail behind a lost GS is hidden by this;
//! 4. behind those fourteen digits any byte outside the GS1 alphabet counts as a separator.
//!
//! Hidden is hidden until the frame ends. At a (re)connect the stream may begin in the middle of a
//! tail, so what comes in is hidden up to the first control character.

const GS: u8 = 0x1d;
/// Digits of a GTIN-14.
const GTIN_DIGITS: u32 = 14;
/// Bytes shown after the fourteenth digit: two digits and an AI of two, and a serial of six.
const SHOWN_AFTER: u32 = 10;
/// `FD`: what stands in a ZPL frame before the leading `@1`.
const BEFORE_FNC1: u32 = 2;

/// The state of the mask between two bytes.
#[derive(Debug, Clone)]
pub(crate) struct Mask {
    /// Bytes of this frame so far, saturating.
    seen: u32,
    /// Digits in a row.
    digits: u32,
    /// Bytes still shown, once a GTIN went by.
    left: Option<u32>,
    hiding: bool,
}

impl Mask {
    /// A stream that we begin ourselves.
    pub(crate) fn at_frame_start() -> Self {
        Self { seen: 0, digits: 0, left: None, hiding: false }
    }

    /// A stream that may begin anywhere.
    pub(crate) fn mid_stream() -> Self {
        Self { hiding: true, ..Self::at_frame_start() }
    }

    /// Takes the next byte and tells whether it is to be hidden.
    pub(crate) fn hides(&mut self, byte: u8) -> bool {
        if (byte < 0x20 && byte != GS) || byte == b'^' {
            *self = Self::at_frame_start();
            return false;
        }
        if self.hiding {
            return true;
        }
        let first = self.seen == 0;
        self.seen = self.seen.saturating_add(1);
        match byte {
            GS => self.hiding = !first,
            b'@' => self.hiding = self.seen > BEFORE_FNC1 + 1,
            _ if self.left.is_some() && !in_gs1_alphabet(byte) => self.hiding = true,
            _ => return self.counts(byte),
        }
        false
    }

    fn counts(&mut self, byte: u8) -> bool {
        if let Some(left) = self.left {
            self.left = Some(left.saturating_sub(1));
            self.hiding = left == 0;
            return self.hiding;
        }
        self.digits = if byte.is_ascii_digit() { self.digits + 1 } else { 0 };
        if self.digits == GTIN_DIGITS {
            self.left = Some(SHOWN_AFTER);
        }
        false
    }
}

/// Tells whether a byte belongs to the 82 characters of GS1 General Specifications, figure 7.11-1.
fn in_gs1_alphabet(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!\"%&'()*+,-./:;<=>?_".contains(&byte)
}
