//! The ring of leaves to pass as we last wished it.

use std::collections::VecDeque;

/// The ring of leaves to pass, and what of it is still to be written.
#[derive(Debug)]
pub(crate) struct PassRing {
    /// By place, the tag that shall pass; as it will be once all is written.
    wished: Vec<u32>,
    unwritten: VecDeque<(u16, u32)>,
}

impl PassRing {
    /// Makes a ring that lets nobody pass.
    pub(crate) fn new(len: u16) -> Self {
        Self { wished: vec![0; usize::from(len)], unwritten: VecDeque::new() }
    }

    /// Forgets all wishes: the gate's ring is being cleared.
    pub(crate) fn clear(&mut self) {
        self.wished.fill(0);
        self.unwritten.clear();
    }

    /// Lets an item pass.
    pub(crate) fn pass(&mut self, number: u32) {
        self.wish(number, number);
    }

    /// Takes a leave back. A place that a later item took meanwhile stays as it is.
    pub(crate) fn reject(&mut self, number: u32) {
        let place = number as usize % self.wished.len();
        if self.wished[place] == number {
            self.wish(number, 0);
        }
    }

    /// Gives the next write, oldest first.
    pub(crate) fn pop(&mut self) -> Option<(u16, u32)> {
        self.unwritten.pop_front()
    }

    /// Takes back a write that the gate was too busy for, unless there is a newer wish.
    pub(crate) fn put_back(&mut self, place: u16, tag: u32) {
        if !self.unwritten.iter().any(|(other, _)| *other == place) {
            self.unwritten.push_front((place, tag));
        }
    }

    /// A place waits with its newest wish only, so the queue is never longer than the ring.
    fn wish(&mut self, number: u32, tag: u32) {
        let place = number as usize % self.wished.len();
        self.wished[place] = tag;
        let place = place as u16;
        self.unwritten.retain(|(other, _)| *other != place);
        self.unwritten.push_back((place, tag));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_reject_does_not_take_the_leave_of_a_later_item() {
        let mut ring = PassRing::new(32);
        ring.pass(5);
        ring.pass(37);
        ring.reject(5);
        assert_eq!(ring.pop(), Some((5, 37)));
        assert_eq!(ring.pop(), None);
        ring.reject(37);
        assert_eq!(ring.pop(), Some((5, 0)));
    }

    #[test]
    fn a_write_put_back_gives_way_to_a_newer_wish() {
        let mut ring = PassRing::new(32);
        ring.pass(5);
        let busy = ring.pop().unwrap();
        ring.reject(5);
        ring.put_back(busy.0, busy.1);
        assert_eq!(ring.pop(), Some((5, 0)));
        assert_eq!(ring.pop(), None);
    }
}
