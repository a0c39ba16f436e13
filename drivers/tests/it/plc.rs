//! A few registers behind Modbus TCP, written from the specification for these tests alone.

pub struct Plc {
    pub input: Vec<u16>,
    pub holding: Vec<u16>,
    /// Requests as they came: function, first register, count.
    pub asked: Vec<(u8, u16, u16)>,
}

impl Plc {
    pub fn new(boot: u16) -> Self {
        let mut plc = Self { input: vec![0; 300], holding: vec![7; 66], asked: vec![] };
        plc.input[1] = 1;
        plc.input[2] = boot;
        plc
    }

    fn put(registers: &mut [u16], at: usize, value: u32) {
        registers[at] = (value >> 16) as u16;
        registers[at + 1] = value as u16;
    }

    /// The trigger sees an item at a time of the gate's clock.
    pub fn item(&mut self, tag: u32, clock: u16) {
        let at = 12 + 3 * (tag as usize % 16);
        Self::put(&mut self.input, at, tag);
        self.input[at + 2] = clock;
        Self::put(&mut self.input, 4, tag);
        self.input[3] = clock;
    }

    /// 1 passed, 2 rejected, 3 lost.
    pub fn outcome(&mut self, tag: u32, outcome: u16) {
        let at = 100 + 3 * (tag as usize % 64);
        Self::put(&mut self.input, at, tag);
        self.input[at + 2] = outcome;
        let count = 4 + 2 * usize::from(outcome);
        let before = u32::from(self.input[count]) << 16 | u32::from(self.input[count + 1]);
        Self::put(&mut self.input, count, before + 1);
    }

    /// The tag that may pass in a place of the ring.
    pub fn leave(&self, place: usize) -> u32 {
        u32::from(self.holding[2 + 2 * place]) << 16 | u32::from(self.holding[3 + 2 * place])
    }

    /// Answers one request.
    pub fn answer(&mut self, adu: &[u8]) -> Vec<u8> {
        let word = |at: usize| u16::from_be_bytes([adu[at], adu[at + 1]]);
        assert_eq!(usize::from(word(4)) + 6, adu.len(), "one whole request");
        assert_eq!(word(2), 0);
        let (function, first, count) = (adu[7], word(8), word(10));
        self.asked.push((function, first, count));
        let range = usize::from(first)..usize::from(first) + usize::from(count);
        let mut pdu = vec![function];
        match function {
            3 | 4 => {
                assert!((1..=125).contains(&count));
                let registers = if function == 3 { &self.holding[range] } else { &self.input[range] };
                pdu.push(u8::try_from(2 * count).unwrap());
                pdu.extend(registers.iter().flat_map(|register| register.to_be_bytes()));
            }
            16 => {
                assert!((1..=123).contains(&count));
                assert_eq!(usize::from(adu[12]), 2 * usize::from(count));
                for (register, value) in range.zip(adu[13..].chunks_exact(2)) {
                    self.holding[register] = u16::from_be_bytes([value[0], value[1]]);
                }
                pdu.extend_from_slice(&adu[8..12]);
            }
            other => panic!("function {other}"),
        }
        let mut answer = adu[..4].to_vec();
        answer.extend((pdu.len() as u16 + 1).to_be_bytes());
        answer.push(adu[6]);
        answer.extend(pdu);
        answer
    }
}
