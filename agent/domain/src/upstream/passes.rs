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

/// Ranges of one draft at the most: the store writes a row for each.
const RANGES_MAX: usize = 100;

/// The first `most` passes of the ranges, or fewer where the ranges are many.
pub(super) fn first(of: &[PassRange], most: u32) -> Vec<PassRange> {
    let mut left = most;
    let cut = |r: &PassRange| {
        let n = (r.to.0 + 1).saturating_sub(r.from.0).min(left);
        left -= n;
        (n > 0).then(|| PassRange { from: r.from, to: PassNo(r.from.0 + n - 1) })
    };
    of.iter().take(RANGES_MAX).map_while(cut).collect()
}

/// The ranges without the passes of others; both in rising order.
pub(super) fn without(of: &[PassRange], others: &[PassRange]) -> Vec<PassRange> {
    let mut out = Vec::new();
    for r in of {
        let mut from = r.from;
        for other in others.iter().filter(|o| o.from <= r.to && o.to >= r.from) {
            if other.from > from {
                out.push(PassRange { from, to: PassNo(other.from.0 - 1) });
            }
            from = from.max(PassNo(other.to.0 + 1));
        }
        if from <= r.to {
            out.push(PassRange { from, to: r.to });
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
    fn the_first_and_the_rest_are_all() {
        let free = [range(1, 4), range(6, 6), range(9, 12)];
        let check = |most, taken: &[PassRange], rest: &[PassRange]| {
            assert_eq!(first(&free, most), taken);
            assert_eq!(without(&free, taken), rest);
        };
        check(0, &[], &free);
        check(3, &[range(1, 3)], &[range(4, 4), range(6, 6), range(9, 12)]);
        check(5, &[range(1, 4), range(6, 6)], &[range(9, 12)]);
        check(7, &[range(1, 4), range(6, 6), range(9, 10)], &[range(11, 12)]);
        check(99, &free, &[]);
        assert_eq!(without(&[range(1, 9)], &[range(3, 4), range(8, 20)]), [range(1, 2), range(5, 7)]);
        let many: Vec<PassRange> = (0..300).map(|n| range(2 * n + 1, 2 * n + 1)).collect();
        assert_eq!(first(&many, 1000), many[..RANGES_MAX]);
    }

    #[test]
    fn a_spread_has_the_first_and_the_last() {
        assert_eq!(spread(&[range(1, 100)], 2), [range(1, 1), range(100, 100)]);
        assert_eq!(spread(&[range(1, 3)], 10), [range(1, 3)]);
        assert_eq!(count(&spread(&[range(1, 10_000), range(20_000, 30_000)], 10)), 10);
    }
}
