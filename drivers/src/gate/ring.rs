//! The ring of leaves to pass as we last wished it.

/// The ring of leaves to pass, and what of it is still to be written.
#[derive(Debug)]
pub(crate) struct PassRing {
    /// By place, the tag that shall pass; as it will be once all is written.
    wished: Vec<u32>,
    /// Places whose wish the gate has not got, in the order of the wishes. Each stands here once, so it is never longer
    /// than the ring.
    unwritten: Vec<u16>,
}

impl PassRing {
    /// Makes a ring that lets nobody pass.
    pub(crate) fn new(len: u16) -> Self {
        Self { wished: vec![0; usize::from(len)], unwritten: Vec::new() }
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
        if self.is_wished(number) {
            self.wish(number, 0);
        }
    }

    /// Tells whether this item has its leave, written or not.
    pub(crate) fn is_wished(&self, number: u32) -> bool {
        self.wished[number as usize % self.wished.len()] == number
    }

    /// Gives the next write: the first place, and what stands in it and the places behind it.
    ///
    /// It begins with the place that waits longest and goes on to the last that waits behind it in the ring, over places
    /// that are written: they get again what they hold. So the items that came one after the other get their leaves in one
    /// request, in two where the ring begins anew.
    pub(crate) fn pop(&mut self) -> Option<(u16, Vec<u32>)> {
        let first = *self.unwritten.first()?;
        let last = self.unwritten.iter().copied().max().unwrap_or(first);
        self.unwritten.retain(|place| *place < first);
        Some((first, self.wished[usize::from(first)..=usize::from(last)].to_vec()))
    }

    /// Takes back a write that the gate was too busy for: its places wait again, before all others.
    pub(crate) fn put_back(&mut self, first: u16, count: u16) {
        let again = first..first + count;
        self.unwritten.retain(|place| !again.contains(place));
        self.unwritten.splice(..0, again);
    }

    /// A place waits with its newest wish only.
    fn wish(&mut self, number: u32, tag: u32) {
        let place = number as usize % self.wished.len();
        self.wished[place] = tag;
        let place = place as u16;
        if !self.unwritten.contains(&place) {
            self.unwritten.push(place);
        }
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
        assert_eq!(ring.pop(), Some((5, vec![37])));
        assert_eq!(ring.pop(), None);
        ring.reject(37);
        assert_eq!(ring.pop(), Some((5, vec![0])));
    }

    #[test]
    fn a_write_put_back_gives_way_to_a_newer_wish() {
        let mut ring = PassRing::new(32);
        ring.pass(5);
        assert_eq!(ring.pop(), Some((5, vec![5])));
        ring.reject(5);
        ring.put_back(5, 1);
        assert_eq!(ring.pop(), Some((5, vec![0])));
        assert_eq!(ring.pop(), None);
    }

    #[test]
    fn leaves_of_items_in_a_row_go_together_and_the_ring_s_end_parts_them() {
        let mut ring = PassRing::new(32);
        for number in [29, 31, 32, 33] {
            ring.pass(number);
        }
        assert_eq!(ring.pop(), Some((29, vec![29, 0, 31])), "30 was not passed");
        assert_eq!(ring.pop(), Some((0, vec![32, 33])));
        assert_eq!(ring.pop(), None);
    }
}
