//! Sets of passes as ranges.

use crate::ids::PassNo;
use crate::record::PassRange;

pub(super) fn count(ranges: &[PassRange]) -> u32 {
    ranges.iter().map(|r| (r.to.0 + 1).saturating_sub(r.from.0)).sum()
}

pub(super) fn each(ranges: &[PassRange]) -> impl Iterator<Item = PassNo> + '_ {
    ranges.iter().flat_map(|r| (r.from.0..=r.to.0).map(PassNo))
}

/// Joins passes in rising order into ranges.
pub(super) fn ranges(passes: impl IntoIterator<Item = PassNo>) -> Vec<PassRange> {
    let mut out: Vec<PassRange> = Vec::new();
    for pass in passes {
        match out.last_mut() {
            Some(last) if last.to.0.checked_add(1) == Some(pass.0) => last.to = pass,
            _ => out.push(PassRange { from: pass, to: pass }),
        }
    }
    out
}

/// Up to `wanted` passes spread over the ranges, the first and the last among them.
pub(super) fn spread(of: &[PassRange], wanted: u32) -> Vec<PassRange> {
    let (all, wanted) = (count(of), wanted.max(2));
    if all <= wanted {
        return of.to_vec();
    }
    let last = u64::from(all - 1);
    let at = |i: u32| (u64::from(i) * last / u64::from(wanted - 1)) as usize;
    let mut picks = (0..wanted).map(at).peekable();
    let picked = each(of).enumerate().filter(|(i, _)| picks.next_if_eq(i).is_some());
    ranges(picked.map(|(_, pass)| pass))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: u32, to: u32) -> PassRange {
        PassRange { from: PassNo(from), to: PassNo(to) }
    }

    #[test]
    fn ranges_of_each_give_the_ranges_back() {
        let given = [range(1, 3), range(5, 5), range(9, 12)];
        assert_eq!(ranges(each(&given)), given);
        assert_eq!(count(&given), 8);
    }

    #[test]
    fn a_spread_has_the_first_and_the_last() {
        assert_eq!(spread(&[range(1, 100)], 2), [range(1, 1), range(100, 100)]);
        assert_eq!(spread(&[range(1, 3)], 10), [range(1, 3)]);
        assert_eq!(count(&spread(&[range(1, 10_000), range(20_000, 30_000)], 10)), 10);
    }
}
