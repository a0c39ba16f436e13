//! A whole layer in one result: which mark lies in which cell, and a layer of which cells failed.
//!
//! A reader may give its marks in the order of the cells, with something for a cell that it could not read; in any order,
//! with what it could not read at the end or not at all; or with coordinates (facts of readers, multi-code results). A layer
//! is packed whole or not at all: what failed is named by its cell, and only that is asked for by a scan in the hand. What
//! finds the marks is the shell's business: a reader's text today, frames of a camera another day.

use super::{Child, Doing, Scan, Signal, Station, StationEffect};
use crate::pack::ask::{CellStatus, LayerStatus};
use crate::pack::judge::NotIn;
use crate::pack::record::PackRecord;
use crate::time::Wall;

/// Cells of a layer.
pub const CELLS_MIN: u32 = 4;
pub const CELLS_MAX: u32 = 60;

/// How a layer lies. Rows and places in them are counted from one, from the corner where the coordinates begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    pub columns: u32,
    pub rows: u32,
    pub order: Order,
}

/// What a result says of the places of its marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Row by row, with an empty part for a cell that was not read.
    Cells,
    /// Nothing: only how many there are is known.
    Any,
    /// The centre of each, within this frame.
    Centres(Frame),
}

/// The rectangle that a layer fills, in the reader's own units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    pub x: i32,
    pub y: i32,
    /// At least 1.
    pub width: u32,
    pub height: u32,
}

/// One part of a result: a mark's bytes, empty where none was read, and its centre where the reader gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub bytes: Vec<u8>,
    pub centre: Option<(i32, i32)>,
}

/// A result that cannot be this layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mislaid {
    /// Another number of parts than the layer has cells.
    Count { got: usize },
    /// A mark without coordinates, or outside of the frame.
    NoPlace,
    /// Two marks in one cell.
    TwoIn { cell: usize },
}

impl Pattern {
    pub fn cells(&self) -> usize {
        (self.columns * self.rows) as usize
    }

    /// Row and place of a cell, from one; `None` where nobody knows which is which.
    fn place(&self, cell: usize) -> Option<(u32, u32)> {
        let cell = u32::try_from(cell).ok()?;
        (self.order != Order::Any).then(|| (cell / self.columns + 1, cell % self.columns + 1))
    }

    /// Puts the marks of a result into their cells.
    pub fn lay(&self, parts: Vec<Part>) -> Result<Vec<Option<Vec<u8>>>, Mislaid> {
        let mut cells = vec![None; self.cells()];
        let got = parts.len();
        match self.order {
            Order::Cells if got != cells.len() => return Err(Mislaid::Count { got }),
            Order::Cells => {
                for (cell, part) in cells.iter_mut().zip(parts) {
                    *cell = Some(part.bytes).filter(|bytes| !bytes.is_empty());
                }
            }
            Order::Any => {
                let read: Vec<_> = parts.into_iter().filter(|part| !part.bytes.is_empty()).collect();
                if read.len() > cells.len() {
                    return Err(Mislaid::Count { got: read.len() });
                }
                for (cell, part) in cells.iter_mut().zip(read) {
                    *cell = Some(part.bytes);
                }
            }
            Order::Centres(frame) => {
                for part in parts.into_iter().filter(|part| !part.bytes.is_empty()) {
                    let place = part.centre.and_then(|centre| self.cell_at(frame, centre));
                    let place = place.ok_or(Mislaid::NoPlace)?;
                    if cells[place].replace(part.bytes).is_some() {
                        return Err(Mislaid::TwoIn { cell: place });
                    }
                }
            }
        }
        Ok(cells)
    }

    fn cell_at(&self, frame: Frame, (x, y): (i32, i32)) -> Option<usize> {
        let along = |at: i32, from: i32, size: u32, parts: u32| {
            let at = u64::try_from(i64::from(at) - i64::from(from)).ok()?;
            let part = at * u64::from(parts) / u64::from(size.max(1));
            (part < u64::from(parts)).then_some(part as usize)
        };
        let column = along(x, frame.x, frame.width, self.columns)?;
        let row = along(y, frame.y, frame.height, self.rows)?;
        Some(row * self.columns as usize + column)
    }
}

/// A layer that is not packed yet: what lies in each cell, or why it failed, by key.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pattern: Pattern,
    cells: Vec<Result<Child, String>>,
}

impl Layer {
    fn failed(&self) -> impl Iterator<Item = usize> {
        self.cells.iter().enumerate().filter(|(_, cell)| cell.is_err()).map(|(at, _)| at)
    }

    fn has(&self, child: &Child) -> bool {
        self.cells.iter().flatten().any(|other| name_of(other) == name_of(child))
    }

    pub(super) fn status(&self) -> LayerStatus {
        let Pattern { columns, rows, .. } = self.pattern;
        let cell = |(at, cell): (usize, &Result<Child, String>)| CellStatus {
            place: self.pattern.place(at),
            why: cell.as_ref().err().cloned(),
        };
        LayerStatus { columns, rows, cells: self.cells.iter().enumerate().map(cell).collect() }
    }
}

/// What tells one child from another: its name without a tail.
fn name_of(child: &Child) -> Child {
    match child {
        Child::Item { identity, .. } => Child::Item { identity: *identity, tail: None },
        Child::Pack { name, .. } => Child::pack(*name),
    }
}

impl Station {
    /// A result of the reader over the layer. It takes the place of one that is not packed yet: somebody has put it right and
    /// shown it again.
    pub(super) fn layer_seen(&mut self, parts: Vec<Part>, wall: Wall, out: &mut Vec<StationEffect>) {
        self.layer = None;
        let Some(pattern) = self.config.layer else { return };
        let cells = match pattern.lay(parts) {
            Ok(cells) => cells,
            Err(why) => return self.mislaid(pattern, why, wall, out),
        };
        let mut layer = Layer { pattern, cells: Vec::with_capacity(cells.len()) };
        for bytes in cells {
            let child = match bytes {
                Some(bytes) => self.child_in_layer(&bytes),
                None => Err("pack.cell.missing".to_owned()),
            };
            layer.cells.push(child);
        }
        // Neither of two with one code is known to be the right one.
        let twice: Vec<usize> = (0..layer.cells.len()).filter(|at| is_twice(&layer.cells, *at)).collect();
        for at in twice {
            layer.cells[at] = Err("pack.not_in.twice".to_owned());
        }
        self.layer = Some(layer);
        self.pack_layer(wall, out);
    }

    fn child_in_layer(&self, bytes: &[u8]) -> Result<Child, String> {
        match self.understand(bytes) {
            Scan::Child(child) => Ok(child),
            Scan::Name(name, tail) => Ok(Child::Pack { name, tail }),
            Scan::Bad(key) => Err(key.to_owned()),
            Scan::Layer(_) => Err("pack.malformed".to_owned()),
        }
    }

    /// Something scanned by hand at a station that packs layers: it belongs into the first cell that failed.
    pub(super) fn fill_cell(&mut self, child: Child, wall: Wall, out: &mut Vec<StationEffect>) {
        let Some(layer) = &mut self.layer else { return self.refuse("pack.layer_first", vec![], wall, out) };
        if layer.has(&child) {
            return self.refuse("pack.layer_has", vec![], wall, out);
        }
        if let Some(cell) = layer.cells.iter_mut().find(|cell| cell.is_err()) {
            *cell = Ok(child);
        }
        self.pack_layer(wall, out);
    }

    /// Packs the layer, if nothing is wrong with it; else says which cell is asked for.
    fn pack_layer(&mut self, wall: Wall, out: &mut Vec<StationEffect>) {
        let Some(layer) = &self.layer else { return };
        let (all, failed) = (layer.cells.len(), layer.failed().count());
        let Some(first) = layer.failed().next() else {
            let record = PackRecord::In {
                station: self.config.station,
                pack: self.open.as_ref().map(|open| open.pack),
                terms: self.config.terms,
                children: layer.cells.iter().flatten().cloned().collect(),
                who: self.config.name.clone(),
                at: wall,
            };
            return self.commit(Doing::Layer, record, out);
        };
        let counts = vec![("failed", failed.to_string()), ("cells", all.to_string())];
        match layer.pattern.place(first) {
            Some((row, place)) => {
                let at = [("row", row.to_string()), ("place", place.to_string())];
                self.refuse("pack.layer_cell", counts.into_iter().chain(at).collect(), wall, out);
            }
            None => self.refuse("pack.layer_count", counts, wall, out),
        }
    }

    /// The store let none of a layer in: which cells are to blame.
    pub(super) fn layer_not_in(&mut self, why: &[(usize, NotIn)], wall: Wall, out: &mut Vec<StationEffect>) {
        let Some(layer) = &mut self.layer else { return };
        let of_pack = |why: &NotIn| matches!(why, NotIn::Full | NotIn::Named);
        if why.iter().any(|(_, why)| of_pack(why)) {
            self.layer = None;
            return match why.iter().find(|(_, why)| of_pack(why)) {
                Some((_, NotIn::Full)) if !self.nameless => {
                    self.refuse("pack.layer_too_many", vec![], wall, out)
                }
                _ => self.not_in(why, wall, out),
            };
        }
        if why.len() == layer.cells.len() && why.iter().all(|(_, why)| *why == NotIn::Again) {
            self.layer = None;
            self.say(true, "pack.layer_again", vec![], wall);
            return out.push(StationEffect::Signal(Signal::Taken));
        }
        for (at, why) in why {
            if let Some(cell) = layer.cells.get_mut(*at) {
                *cell = Err(format!("pack.not_in.{}", why.key()));
            }
        }
        self.pack_layer(wall, out);
    }

    fn mislaid(&mut self, pattern: Pattern, why: Mislaid, wall: Wall, out: &mut Vec<StationEffect>) {
        match why {
            Mislaid::Count { got } => {
                let counts = vec![("got", got.to_string()), ("cells", pattern.cells().to_string())];
                self.refuse("pack.layer_other_count", counts, wall, out);
            }
            Mislaid::NoPlace => self.refuse("pack.layer_no_place", vec![], wall, out),
            Mislaid::TwoIn { cell } => {
                let (row, place) = pattern.place(cell).unwrap_or_default();
                let at = vec![("row", row.to_string()), ("place", place.to_string())];
                self.refuse("pack.layer_two", at, wall, out);
            }
        }
    }
}

fn is_twice(cells: &[Result<Child, String>], at: usize) -> bool {
    let Ok(child) = &cells[at] else { return false };
    let same = |other: &&Child| name_of(other) == name_of(child);
    cells.iter().flatten().filter(same).count() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame = Frame { x: 100, y: 0, width: 300, height: 200 };

    fn part(bytes: &str, centre: Option<(i32, i32)>) -> Part {
        Part { bytes: bytes.as_bytes().to_vec(), centre }
    }

    fn laid(order: Order, parts: &[Part]) -> Result<String, Mislaid> {
        let cells = Pattern { columns: 3, rows: 2, order }.lay(parts.to_vec())?;
        let text = |cell: Option<Vec<u8>>| cell.map_or("-".to_owned(), |b| String::from_utf8(b).unwrap());
        Ok(cells.into_iter().map(text).collect())
    }

    #[test]
    fn marks_come_into_their_cells() {
        let plain = |text: &str| -> Vec<Part> { text.split(',').map(|bytes| part(bytes, None)).collect() };
        assert_eq!(laid(Order::Cells, &plain("a,b,,d,e,f")), Ok("ab-def".into()));
        assert_eq!(laid(Order::Cells, &plain("a,b,d,e,f")), Err(Mislaid::Count { got: 5 }));
        assert_eq!(laid(Order::Any, &plain("a,,b,d,,e,f")), Ok("abdef-".into()));
        assert_eq!(laid(Order::Any, &plain("a,b,c,d,e,f,g")), Err(Mislaid::Count { got: 7 }));
        let at = |list: &[(&str, i32, i32)]| -> Vec<Part> {
            list.iter().map(|(bytes, x, y)| part(bytes, Some((*x, *y)))).collect()
        };
        let by = Order::Centres(FRAME);
        let five = [("e", 250, 150), ("a", 100, 0), ("c", 399, 99), ("f", 399, 199), ("d", 150, 100)];
        assert_eq!(laid(by, &at(&five)), Ok("a-cdef".into()));
        assert_eq!(laid(by, &at(&[("a", 100, 0), ("b", 199, 99)])), Err(Mislaid::TwoIn { cell: 0 }));
        for outside in [(99, 0), (400, 0), (100, -1), (100, 200), (i32::MIN, i32::MAX)] {
            assert_eq!(laid(by, &at(&[("a", outside.0, outside.1)])), Err(Mislaid::NoPlace), "{outside:?}");
        }
        assert_eq!(laid(by, &plain("a")), Err(Mislaid::NoPlace));
        assert_eq!(laid(by, &[part("", None), part("a", Some((100, 0)))]), Ok("a-----".into()));
    }
}
