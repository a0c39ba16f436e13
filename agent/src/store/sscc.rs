//! The ranges from which packs get their names (SSCC).
//!
//! A name counts among what was issued, so the witness's lease covers it: after a restore the lease says how many names
//! what was lost may have used, and so many are passed over. Where no witness says it, a person does, by a range of the
//! configuration that begins beyond all that may be used up.

use tamga_domain::sscc::SsccRange;

use super::error::{Fault, StoreError};
use super::read::View;
use super::rows::{count_of, number};
use super::standing::NAMES_LOST;
use super::tx::Tx;
use super::{Store, of_housework};

impl Store {
    /// The range of the configuration. One that was in use goes on where it stood; where the configuration begins later,
    /// the names before are passed over.
    pub fn use_names(&mut self, range: &SsccRange) -> Result<(), StoreError> {
        self.transact(|tx| tx.use_range(range).map_err(of_housework))
    }

    /// The range that names are taken from, as far as it is left; whether names are barred since nobody knows which of
    /// them a restore lost.
    pub fn names(&self) -> Result<Option<(SsccRange, bool)>, StoreError> {
        self.view().names()
    }
}

impl View<'_> {
    /// As [`Store::names`].
    pub fn names(&self) -> Result<Option<(SsccRange, bool)>, StoreError> {
        let found = self.tx().last_range().map_err(Fault::reading)?;
        Ok(found.map(|(_, range, unsure)| (range, unsure)))
    }
}

impl Tx<'_> {
    /// The range that names are taken from, with its number; none where none is configured or it is not sure.
    pub(super) fn range_in_use(&self) -> Result<Option<(u32, SsccRange)>, Fault> {
        Ok(self.last_range()?.filter(|(_, _, unsure)| !unsure).map(|(no, range, _)| (no, range)))
    }

    fn last_range(&self) -> Result<Option<(u32, SsccRange, bool)>, Fault> {
        let sql = "SELECT range_no, extension, prefix, next, ends, unsure FROM sscc_ranges ORDER BY range_no DESC LIMIT 1";
        type Row = (u32, u8, String, i64, i64, bool);
        let row: Option<Row> = self.one(sql, [], |r| r.try_into())?;
        let Some((no, extension, prefix, next, ends, unsure)) = row else { return Ok(None) };
        let (next, end) = (count_of(next)?, count_of(ends)?);
        let range = SsccRange::new(extension, &prefix, next, end)
            .map_err(|e| Fault::Damaged(format!("the range {no} of SSCCs: {e}")))?;
        Ok(Some((no, range, unsure)))
    }

    fn use_range(&self, range: &SsccRange) -> Result<(), Fault> {
        let (extension, prefix) = (range.extension(), range.company_prefix());
        let sql = "SELECT max(next) FROM sscc_ranges WHERE extension = ?1 AND prefix = ?2";
        let used: Option<Option<i64>> = self.one(sql, (extension, prefix), |r| r.get(0))?;
        let used = used.flatten().map(count_of).transpose()?;
        // A beginning that this database has not seen may have been in use when what is lost was.
        let lost = self.meta_number(NAMES_LOST)?;
        // There is none behind the last of a prefix.
        let last = range.serials();
        let begins = |used: u64| match range.next() > used {
            true => range.next().saturating_add(lost).min(last),
            false => used,
        };
        if let Some((no, last, unsure)) = self.last_range()?
            && (last.extension(), last.company_prefix()) == (extension, prefix)
        {
            // Beyond what may be used up: a person's word.
            let unsure = unsure && range.next() <= last.next();
            let next = begins(last.next());
            let ends = range.end().max(next);
            let sql = "UPDATE sscc_ranges SET next = ?2, ends = ?3, unsure = ?4 WHERE range_no = ?1";
            return self.must("a range of SSCCs", 1, sql, (no, number(next), number(ends), unsure));
        }
        // Another one than the last: where it was in use before, it goes on from there.
        let next = used.map_or(range.next().saturating_add(lost).min(last), begins);
        let sql = "INSERT INTO sscc_ranges(extension, prefix, first, next, ends) VALUES(?1, ?2, ?3, ?3, ?4)";
        let ends = number(range.end().max(next));
        self.must("a range of SSCCs", 1, sql, (extension, prefix, number(next), ends))
    }

    /// After a restore: what was lost may have used up to so many names; `None`: nobody knows how many. So many count as
    /// issued from here on, so that an older copy that is put back later is seen to lack them as well.
    pub(super) fn pass_over_names(&self, lost: Option<u64>) -> Result<(), Fault> {
        if let Some(lost) = lost {
            self.add_issued(usize::try_from(lost).unwrap_or(usize::MAX))?;
            let all = self.meta_number(NAMES_LOST)?.saturating_add(lost);
            self.set_meta(NAMES_LOST, &all.to_string())?;
        }
        let Some((no, range, _)) = self.last_range()? else { return Ok(()) };
        match lost {
            Some(lost) => {
                let next = range.next().saturating_add(lost).min(range.end());
                let sql = "UPDATE sscc_ranges SET next = ?2 WHERE range_no = ?1";
                self.must("a range of SSCCs", 1, sql, (no, number(next)))
            }
            None => {
                let sql = "UPDATE sscc_ranges SET unsure = 1 WHERE range_no = ?1";
                self.must("a range of SSCCs", 1, sql, [no])
            }
        }
    }
}
