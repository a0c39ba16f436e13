//! Rework of packs before it is done, and after.

use tamga_domain::ids::PackNo;
use tamga_domain::pack::doctor::{Diagnosis, diagnose};
use tamga_domain::pack::rework::{NotDone, Plan, Rework, plan};

use tamga_domain::pack::{Child, PackFacts};

use super::View;
use crate::store::error::{Fault, StoreError};

impl View<'_> {
    /// What these would do now, or why they do nothing.
    pub fn rework_plan(&self, works: &[Rework]) -> Result<Result<Plan, NotDone>, StoreError> {
        plan(works, &self.tx()).map_err(Fault::reading)
    }

    /// The pack that what stayed in this one is now.
    pub fn pack_after(&self, pack: PackNo) -> Result<Option<PackFacts>, StoreError> {
        self.tx().pack_after(pack).map_err(Fault::reading)
    }

    /// What is wrong with a pack, by the books and by what a person saw in it.
    pub fn diagnosis(&self, pack: PackNo, seen: Option<&[Child]>) -> Result<Diagnosis, StoreError> {
        let look = || {
            let tx = self.tx();
            let Some(facts) = tx.pack_by_no(pack)? else { return Ok(Diagnosis::default()) };
            let after = tx.pack_after(pack)?.map(|after| after.pack);
            diagnose(&facts, after, seen, &tx)
        };
        look().map_err(Fault::reading)
    }
}
