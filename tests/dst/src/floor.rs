//! What happens on the floor, for the log: labels, readings and where items go, as the models record them.

use tamga_simulators::model::plant::Plant;
use tamga_simulators::model::truth::{Fate, Item};

use crate::trace::Trace;

/// How much of the plant's record is in the log already.
#[derive(Default)]
pub struct FloorLog {
    /// Before each line, where there are several lines.
    prefix: String,
    /// By printer.
    labels: Vec<usize>,
    readings: usize,
    /// By item: marks, triggers and fates that were told.
    items: Vec<[usize; 3]>,
}

fn text(symbol: Option<&[u8]>) -> String {
    symbol.map_or_else(|| "nothing".to_owned(), |bytes| bytes.escape_ascii().to_string())
}

impl FloorLog {
    /// Of the line with this number, from zero.
    pub fn of_line(at: usize) -> FloorLog {
        let prefix = if at == 0 { "floor".to_owned() } else { format!("floor {}", at + 1) };
        FloorLog { prefix, ..FloorLog::default() }
    }

    /// Tells what is new since the last look.
    pub fn look(&mut self, plant: &Plant, trace: &mut Trace) {
        if !trace.is_wanted() {
            return;
        }
        self.labels.resize(plant.printers.len(), 0);
        for ((no, printer), told) in (1..).zip(&plant.printers).zip(&mut self.labels) {
            let of = if plant.printers.len() > 1 { format!(" of p{no}") } else { String::new() };
            for label in printer.log().iter().skip(*told) {
                let how = [
                    (label.damaged, " damaged"),
                    (label.reprint, " reprint"),
                    (label.at_panel, " at the panel"),
                ];
                let how: String = how.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
                let (prefix, symbol) = (&self.prefix, text(label.symbol.as_deref()));
                trace.say(|| format!("{prefix} label {}{of}{how}: {symbol}", label.label_no));
            }
            *told = printer.log().len();
        }
        for reading in plant.readings().iter().skip(self.readings) {
            let tag = format!("{}/{}", reading.tag.boot, reading.tag.tag);
            let said = text(reading.sent.as_deref());
            let prefix = &self.prefix;
            trace.say(|| format!("{prefix} reading of tag {tag}: {said} {:?}", reading.faults));
        }
        self.readings = plant.readings().len();
        self.items.resize(plant.items().len(), [0; 3]);
        for (item, told) in plant.items().iter().zip(&mut self.items) {
            let now = [item.marks.len(), item.tags.len(), item.met.len()];
            if now != *told {
                *told = now;
                let prefix = &self.prefix;
                trace.say(|| line_of(prefix, item));
            }
        }
    }
}

fn line_of(prefix: &str, item: &Item) -> String {
    let marks: Vec<String> = item.marks.iter().map(|m| text(m.readable())).collect();
    let tag = item.tags.last().map_or_else(String::new, |t| format!(" tag {}/{}", t.boot, t.tag));
    let place = match item.fate {
        None => "on the belt",
        Some(Fate::Passed) if item.escaped => "behind the gate without leave",
        Some(Fate::Passed) => "behind the gate",
        Some(Fate::Rejected) => "in the bin",
        Some(Fate::Removed) => "taken off",
    };
    format!("{prefix} item {}{tag} {place}, bears [{}] {:?}", item.item_no, marks.join(", "), item.faults)
}
