//! What a printer does on host commands: formats into the queue, `~` commands, Set-Get-Do.

use super::printer::{Block, Printer};
use super::zpl::Word;
use super::zpl_format::Job;

impl Printer {
    pub(super) fn word(&mut self, now_ns: u64, word: Word) {
        match word {
            Word::Caret { name, params } => {
                if &name == b"PP" {
                    self.paused = true;
                }
                if let Some(job) = self.composer.caret(name, &params) {
                    self.queue.push_back(Job { bytes: self.format_bytes, ..job });
                    self.begin_by_itself(now_ns);
                }
                if !self.composer.in_format() {
                    self.format_bytes = 0;
                } else if &name == b"XA" {
                    self.format_bytes = b"^XA".len();
                }
            }
            Word::Tilde { name, params } => self.tilde(now_ns, name, &params),
            Word::Sgd(line) => self.sgd(now_ns, &line),
        }
    }

    fn tilde(&mut self, now_ns: u64, name: [u8; 2], params: &[u8]) {
        match &name {
            b"HS" => self.host_status(),
            b"HI" => {
                let answer = format!("\x02{}\x03", self.config.identity);
                self.out.extend_from_slice(answer.as_bytes());
            }
            b"HQ" if params == b"ES" => self.error_status(),
            b"JA" => {
                self.queue.clear();
                if let Some(printing) = &mut self.printing {
                    printing.job.copies = 0;
                }
                self.drop_format();
            }
            b"JX" => self.drop_format(),
            b"JR" => self.restart(now_ns),
            b"PP" => self.paused = true,
            b"PS" => {
                self.paused = false;
                self.begin_by_itself(now_ns);
            }
            _ => {}
        }
    }

    fn restart(&mut self, now_ns: u64) {
        self.power_off(now_ns);
        self.power_on(now_ns);
    }

    fn drop_format(&mut self) {
        self.lexer.drop_format();
        self.composer.drop_format();
        self.format_bytes = 0;
    }

    /// `~HS`: silence while out of media or ribbon or with an open head, as the guide says.
    fn host_status(&mut self) {
        if !self.blocks.is_empty() {
            return;
        }
        let in_head = self.printing.as_ref().map_or(0, |p| 1 + p.job.copies);
        let answer = format!(
            "\x02030,0,{},{:04},{:03},{},0,{},000,0,0,0\x03\r\n\x02000,0,0,0,0,{},4,0,{:08},1,000\x03\r\n\x021234,0\x03\r\n",
            u8::from(self.paused),
            self.composer.label_length_dots,
            self.queue.len().min(999),
            u8::from(self.room() == 0),
            u8::from(self.composer.in_format()),
            self.composer.media_mode,
            in_head,
        );
        self.out.extend_from_slice(answer.as_bytes());
    }

    fn error_status(&mut self) {
        let bit = |block: &Block| match block {
            Block::Media => 1,
            Block::Ribbon => 2,
            Block::Head => 4,
        };
        let mask: u32 = self.blocks.iter().map(bit).sum();
        let answer = format!(
            "\x02\r\n  PRINTER STATUS\r\n   ERRORS:         {} 00000000 {mask:08X}\r\n   WARNINGS:       0 00000000 00000000\r\n\x03",
            u8::from(mask != 0)
        );
        self.out.extend_from_slice(answer.as_bytes());
    }

    fn sgd(&mut self, now_ns: u64, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let quoted: Vec<&str> = line.split('"').collect();
        let mut verb = quoted[0].split_ascii_whitespace();
        let (Some("!"), Some("U1"), Some(verb)) = (verb.next(), verb.next(), verb.next()) else { return };
        let name = quoted.get(1).copied().unwrap_or_default();
        match (verb, name) {
            ("do", "device.reset") => self.restart(now_ns),
            ("getvar", _) => {
                let mut identity = self.config.identity.split(',');
                let value = match name {
                    "odometer.total_label_count" => self.odometer.to_string(),
                    "device.product_name" => identity.next().unwrap_or_default().to_owned(),
                    "appl.name" => identity.nth(1).unwrap_or_default().to_owned(),
                    "device.languages" => "zpl".to_owned(),
                    _ => "?".to_owned(),
                };
                self.out.extend_from_slice(format!("\"{value}\"").as_bytes());
            }
            _ => {}
        }
    }
}
