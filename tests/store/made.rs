//! Codes made from their number, so that none has to be kept.

use tamga_domain::code::{Code, Identity, Serial, Tail};
use tamga_domain::gs1::Gtin;

/// Codes of one product, in ten orders: a look-up goes through all the orders that have codes left.
pub const PRODUCT: u64 = 2_500_000;
/// Codes of one order.
pub const ORDER: u64 = PRODUCT / 10;

pub fn code(n: u64) -> Code {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    // splitmix64, twice: 13 characters that look random and do not repeat.
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let seed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut bits = (u128::from(mix(seed)) << 64) | u128::from(mix(!seed));
    let mut take = || {
        let c = ALPHABET[(bits % 62) as usize];
        bits /= 62;
        c
    };
    let serial: Vec<u8> = (0..13).map(|_| take()).collect();
    let tail: Vec<u8> = (0..4).map(|_| take()).collect();
    let gtin = gtin(n / PRODUCT);
    Code {
        identity: Identity { gtin, serial: Serial::new(&serial).unwrap() },
        tail: Tail::new(&tail).unwrap(),
    }
}

pub fn gtin(product: u64) -> Gtin {
    // Number and check digit.
    let body = format!("0478001{product:06}");
    let sum: u32 = body.bytes().zip([3, 1].iter().cycle()).map(|(b, w)| u32::from(b - b'0') * w).sum();
    Gtin::parse(format!("{body}{}", (10 - sum % 10) % 10).as_bytes()).unwrap()
}
