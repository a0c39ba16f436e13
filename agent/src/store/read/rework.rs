//! Rework of packs before it is done, and after.

use tamga_domain::ids::PackNo;
use tamga_domain::pack::PackFacts;
use tamga_domain::pack::rework::{NotDone, Plan, Rework, plan};

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
}
