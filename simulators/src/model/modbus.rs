//! Modbus TCP, server side: splits the stream into frames and answers one request from a bank of registers.
//!
//! Functions 3, 4, 6 and 16; anything else is exception 1.

/// Registers of a device.
pub trait Bank {
    /// `None` where no such register exists.
    fn input(&self, address: u16) -> Option<u16>;
    fn holding(&self, address: u16) -> Option<u16>;
    /// Writes registers that [`Bank::holding`] has shown to exist.
    fn write(&mut self, address: u16, value: u16);
}

/// The largest PDU that the protocol allows, with its unit id.
const LENGTH_MAX: usize = 254;

/// Cuts a byte stream into whole frames, header included.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
}

/// The stream cannot be Modbus TCP; a server closes the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotModbus;

impl Frames {
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, NotModbus> {
        let [_, _, p1, p0, l1, l0, ..] = self.buffer[..] else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([l1, l0]));
        if (p1, p0) != (0, 0) || !(2..=LENGTH_MAX).contains(&length) {
            return Err(NotModbus);
        }
        if self.buffer.len() < 6 + length {
            return Ok(None);
        }
        Ok(Some(self.buffer.drain(..6 + length).collect()))
    }
}

#[derive(Debug, Clone, Copy)]
enum Exception {
    Function = 1,
    Address = 2,
    Value = 3,
}

/// Answers one whole frame; the transaction and unit ids are those of the request.
pub fn answer(bank: &mut impl Bank, frame: &[u8]) -> Vec<u8> {
    let [t1, t0, _, _, _, _, unit, function, data @ ..] = frame else { return Vec::new() };
    let pdu = match serve(bank, *function, data) {
        Ok(pdu) => pdu,
        Err(exception) => vec![function | 0x80, exception as u8],
    };
    let length = u16::try_from(pdu.len() + 1).unwrap_or(u16::MAX).to_be_bytes();
    let mut out = vec![*t1, *t0, 0, 0, length[0], length[1], *unit];
    out.extend(pdu);
    out
}

fn serve(bank: &mut impl Bank, function: u8, data: &[u8]) -> Result<Vec<u8>, Exception> {
    match function {
        3 => read(function, data, |address| bank.holding(address)),
        4 => read(function, data, |address| bank.input(address)),
        6 => {
            let [a1, a0, v1, v0] = *data else { return Err(Exception::Value) };
            let address = u16::from_be_bytes([a1, a0]);
            bank.holding(address).ok_or(Exception::Address)?;
            bank.write(address, u16::from_be_bytes([v1, v0]));
            Ok(vec![function, a1, a0, v1, v0])
        }
        16 => write_many(bank, data),
        _ => Err(Exception::Function),
    }
}

fn read(function: u8, data: &[u8], register: impl Fn(u16) -> Option<u16>) -> Result<Vec<u8>, Exception> {
    let [a1, a0, c1, c0] = *data else { return Err(Exception::Value) };
    let (address, count) = (u16::from_be_bytes([a1, a0]), u16::from_be_bytes([c1, c0]));
    if !(1..=125).contains(&count) {
        return Err(Exception::Value);
    }
    let mut pdu = vec![function, u8::try_from(count * 2).unwrap_or(u8::MAX)];
    for offset in 0..count {
        let value = address.checked_add(offset).and_then(&register).ok_or(Exception::Address)?;
        pdu.extend(value.to_be_bytes());
    }
    Ok(pdu)
}

fn write_many(bank: &mut impl Bank, data: &[u8]) -> Result<Vec<u8>, Exception> {
    let [a1, a0, c1, c0, bytes, values @ ..] = data else { return Err(Exception::Value) };
    let (address, count) = (u16::from_be_bytes([*a1, *a0]), u16::from_be_bytes([*c1, *c0]));
    let whole = usize::from(*bytes) == values.len() && values.len() == usize::from(count) * 2;
    if !(1..=123).contains(&count) || !whole {
        return Err(Exception::Value);
    }
    let end = address.checked_add(count - 1).ok_or(Exception::Address)?;
    if (address..=end).any(|a| bank.holding(a).is_none()) {
        return Err(Exception::Address);
    }
    for (at, value) in (address..=end).zip(values.chunks_exact(2)) {
        bank.write(at, u16::from_be_bytes([value[0], value[1]]));
    }
    Ok(vec![16, *a1, *a0, *c1, *c0])
}
