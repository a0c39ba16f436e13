//! Modbus requests to bytes, answers to registers.
//!
//! Source: "MODBUS Application Protocol Specification V1.1b3", 6.3 (FC 3), 6.4 (FC 4), 6.12 (FC 16)
//! and 7 (exceptions); "MODBUS Messaging on TCP/IP Implementation Guide V1.0b", 3.1.3 (MBAP).

use bytes::{BufMut, BytesMut};
use thiserror::Error;

/// What can be asked of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// FC 3.
    ReadHolding { first: u16, count: u16 },
    /// FC 4.
    ReadInput { first: u16, count: u16 },
    /// FC 16.
    Write { first: u16, values: Vec<u16> },
}

/// An answer that does not fit its question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum AnswerError {
    /// The gate refused.
    #[error("the gate answered function {function} with exception {code}")]
    Exception { function: u8, code: u8 },
    /// Anything else.
    #[error("the gate's answer does not fit function {function}")]
    Misfit { function: u8 },
}

impl Request {
    fn function(&self) -> u8 {
        match self {
            Self::ReadHolding { .. } => 3,
            Self::ReadInput { .. } => 4,
            Self::Write { .. } => 16,
        }
    }

    /// Writes the request with its MBAP header.
    pub(crate) fn write_to(&self, transaction: u16, unit: u8, out: &mut BytesMut) {
        let (first, count, values): (u16, u16, &[u16]) = match self {
            Self::ReadHolding { first, count } | Self::ReadInput { first, count } => (*first, *count, &[]),
            Self::Write { first, values } => {
                let count = u16::try_from(values.len()).expect("the map's check bounds every write to 123");
                (*first, count, values)
            }
        };
        let is_write = matches!(self, Self::Write { .. });
        out.put_u16(transaction);
        out.put_u16(0);
        out.put_u16(if is_write { 7 + 2 * count } else { 6 });
        out.put_u8(unit);
        out.put_u8(self.function());
        out.put_u16(first);
        out.put_u16(count);
        if is_write {
            out.put_u8(u8::try_from(2 * count).expect("123 registers are 246 bytes"));
            values.iter().for_each(|value| out.put_u16(*value));
        }
    }

    /// Reads the answer: the registers of a read, nothing for a write.
    pub(crate) fn answer(&self, pdu: &[u8]) -> Result<Vec<u16>, AnswerError> {
        let function = self.function();
        let misfit = Err(AnswerError::Misfit { function });
        match (self, pdu) {
            (_, [f, code]) if *f == function | 0x80 => Err(AnswerError::Exception { function, code: *code }),
            (Self::Write { first, values }, [f, f0, f1, c0, c1]) if *f == function => {
                let echoed = (u16::from_be_bytes([*f0, *f1]), usize::from(u16::from_be_bytes([*c0, *c1])));
                if echoed == (*first, values.len()) { Ok(Vec::new()) } else { misfit }
            }
            (Self::ReadHolding { count, .. } | Self::ReadInput { count, .. }, [f, len, data @ ..])
                if *f == function =>
            {
                let right = usize::from(*len) == data.len() && data.len() == 2 * usize::from(*count);
                let registers = data.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
                if right { Ok(registers.collect()) } else { misfit }
            }
            _ => misfit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Application Protocol Specification V1.1b3, 6.3: read registers 108 to 110.
    const READ_HOLDING: &[u8] = &[0x03, 0x00, 0x6B, 0x00, 0x03];
    const READ_HOLDING_ANSWER: &[u8] = &[0x03, 0x06, 0x02, 0x2B, 0x00, 0x00, 0x00, 0x64];
    /// The same, 6.4: read input register 9.
    const READ_INPUT: &[u8] = &[0x04, 0x00, 0x08, 0x00, 0x01];
    const READ_INPUT_ANSWER: &[u8] = &[0x04, 0x02, 0x00, 0x0A];
    /// The same, 6.12: write 0x000A and 0x0102 from register 2 on.
    const WRITE: &[u8] = &[0x10, 0x00, 0x01, 0x00, 0x02, 0x04, 0x00, 0x0A, 0x01, 0x02];
    const WRITE_ANSWER: &[u8] = &[0x10, 0x00, 0x01, 0x00, 0x02];

    fn check(request: &Request, pdu: &[u8], answer: &[u8], registers: &[u16]) {
        let mut out = BytesMut::new();
        request.write_to(0x1501, 0xFF, &mut out);
        let header = [0x15, 0x01, 0, 0, 0, u8::try_from(pdu.len() + 1).unwrap(), 0xFF];
        assert_eq!(out, [&header[..], pdu].concat());
        assert_eq!(request.answer(answer).as_deref(), Ok(registers));
    }

    #[test]
    fn the_specification_s_examples_are_written_and_read() {
        check(
            &Request::ReadHolding { first: 107, count: 3 },
            READ_HOLDING,
            READ_HOLDING_ANSWER,
            &[0x022B, 0, 0x64],
        );
        check(&Request::ReadInput { first: 8, count: 1 }, READ_INPUT, READ_INPUT_ANSWER, &[0x0A]);
        check(&Request::Write { first: 1, values: vec![0x0A, 0x0102] }, WRITE, WRITE_ANSWER, &[]);
    }

    #[test]
    fn an_exception_and_a_misfit_are_told_apart() {
        let request = Request::ReadInput { first: 8, count: 1 };
        assert_eq!(request.answer(&[0x84, 2]), Err(AnswerError::Exception { function: 4, code: 2 }));
        for wrong in [&[][..], &[4], &[4, 2, 0], &[4, 4, 0, 0, 0, 0], &[3, 2, 0, 1], &[0x83, 2]] {
            assert_eq!(request.answer(wrong), Err(AnswerError::Misfit { function: 4 }), "{wrong:?}");
        }
    }
}
