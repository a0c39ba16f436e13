//! The answers of a ZPL printer: `~HS` and the label counter.
//!
//! Source: Zebra "ZPL II Programming Guide" P1099958, `~HS`. Frames are told apart by their number
//! of fields, so that a lost or repeated frame never pairs with a wrong one for long. A field that is
//! no number makes the frame invalid; nothing is guessed.

use crate::fault::FaultKind;

/// What one `~HS` said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// Labels are out.
    pub media_out: bool,
    /// Paused, by us or at the panel.
    pub paused: bool,
    /// Formats that wait in the receive buffer.
    pub formats_waiting: u32,
    /// The receive buffer is full.
    pub buffer_full: bool,
    /// A format is being received.
    pub partial_format: bool,
    /// The configuration memory was lost.
    pub corrupt_ram: bool,
    /// The head is too cold.
    pub under_temperature: bool,
    /// The head is too hot.
    pub over_temperature: bool,
    /// The head is open.
    pub head_open: bool,
    /// The ribbon is out.
    pub ribbon_out: bool,
    /// Labels that remain of the current batch.
    pub labels_remaining: u32,
}

impl Status {
    /// Tells whether nothing waits, nothing is being received and nothing remains to print.
    pub fn is_idle(&self) -> bool {
        self.formats_waiting == 0 && self.labels_remaining == 0 && !self.partial_format
    }

    /// Returns each flag with the fault that it stands for, in a fixed order.
    pub fn faults(&self) -> [(FaultKind, bool); 8] {
        [
            (FaultKind::MediaOut, self.media_out),
            (FaultKind::RibbonOut, self.ribbon_out),
            (FaultKind::HeadOpen, self.head_open),
            (FaultKind::Paused, self.paused),
            (FaultKind::BufferFull, self.buffer_full),
            (FaultKind::CorruptRam, self.corrupt_ram),
            (FaultKind::OverTemperature, self.over_temperature),
            (FaultKind::UnderTemperature, self.under_temperature),
        ]
    }
}

/// What one frame was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// First, second or third frame of an answer that is not complete yet, or the unused third.
    Taken,
    /// The frame completed an answer.
    Whole(Status),
    /// Not a frame of `~HS`.
    Unknown,
}

/// Joins the first two frames of `~HS`; the third says nothing that we use.
#[derive(Debug, Clone, Default)]
pub struct StatusFrames {
    first: Option<Status>,
}

impl StatusFrames {
    /// Takes the content of one frame.
    pub fn take(&mut self, frame: &[u8]) -> Part {
        let fields: Vec<&[u8]> = frame.split(|&b| b == b',').collect();
        match fields.len() {
            12 => {
                self.first = first_frame(&fields);
                if self.first.is_some() { Part::Taken } else { Part::Unknown }
            }
            11 => match (self.first.take(), second_frame(&fields)) {
                (Some(first), Some((head_open, ribbon_out, labels_remaining))) => {
                    Part::Whole(Status { head_open, ribbon_out, labels_remaining, ..first })
                }
                (None, Some(_)) => Part::Taken,
                (_, None) => Part::Unknown,
            },
            2 => Part::Taken,
            _ => Part::Unknown,
        }
    }
}

/// `aaa,b,c,dddd,eee,f,g,h,iii,j,k,l`
fn first_frame(fields: &[&[u8]]) -> Option<Status> {
    Some(Status {
        media_out: flag(fields[1])?,
        paused: flag(fields[2])?,
        formats_waiting: number(fields[4])?,
        buffer_full: flag(fields[5])?,
        partial_format: flag(fields[7])?,
        corrupt_ram: flag(fields[9])?,
        under_temperature: flag(fields[10])?,
        over_temperature: flag(fields[11])?,
        ..Status::default()
    })
}

/// `mmm,n,o,p,q,r,s,t,uuuuuuuu,v,www`
fn second_frame(fields: &[&[u8]]) -> Option<(bool, bool, u32)> {
    Some((flag(fields[2])?, flag(fields[3])?, number(fields[8])?))
}

fn flag(field: &[u8]) -> Option<bool> {
    match field {
        b"0" => Some(false),
        b"1" => Some(true),
        _ => None,
    }
}

fn number(field: &[u8]) -> Option<u32> {
    if field.is_empty() || !field.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// Reads the value of the label counter; `None` for `?`, the answer of a printer without one.
pub fn odometer(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}
