//! A pack: what it is, what lies in it, what became of it.

use tamga_domain::code::Identity;
use tamga_domain::ids::{PackNo, StationNo};
use tamga_domain::pack::{Holds, PackFacts, PackName, PackState};
use tamga_domain::time::Wall;

use super::{View, gtin_at};
use crate::store::error::{Fault, StoreError};
use crate::store::limits::ROWS_MAX;
use crate::store::pack_rows::{holds_of, sscc_of, state_of};
use crate::store::packs::{NAME, name_at};
use crate::store::rows::{Key, serial_of};

/// What lies in a pack, or lay in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Item(Identity),
    /// A pack by its name.
    Pack(PackName),
}

impl Content {
    /// What tells one from another.
    pub fn key(&self) -> Vec<u8> {
        match self {
            Content::Item(identity) => {
                [identity.gtin.to_string().as_bytes(), identity.serial.as_bytes()].concat()
            }
            Content::Pack(name) => name.to_string().into_bytes(),
        }
    }
}

/// One thing that became of a pack, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct PackChange {
    pub state: PackState,
    /// What it was, by key: `opened`, `named`, `label`, `full`, `short` or `voided`.
    pub what: String,
    /// The name given, or the label's number.
    pub detail: String,
    pub who: String,
    /// A person's reason.
    pub why: String,
    pub at: Wall,
}

/// What was taken out of a pack.
#[derive(Clone, Debug, PartialEq)]
pub struct TakenOut {
    pub what: Content,
    pub who: String,
    pub why: String,
    pub at: Wall,
}

impl View<'_> {
    /// The pack with this name.
    pub fn pack(&self, name: PackName) -> Result<Option<PackFacts>, StoreError> {
        self.tx().pack_by_name(name).map_err(Fault::reading)
    }

    /// The pack that a station is filling.
    pub fn open_pack(&self, station: StationNo) -> Result<Option<PackFacts>, StoreError> {
        self.tx().pack_at(station).map_err(Fault::reading)
    }

    /// The pack with this number.
    pub fn pack_no(&self, pack: PackNo) -> Result<Option<PackFacts>, StoreError> {
        self.tx().pack_by_no(pack).map_err(Fault::reading)
    }

    /// The pack that the item of a code lies in, here or by another agent's word.
    pub fn pack_of(&self, code: &Identity) -> Result<Option<PackFacts>, StoreError> {
        let found = || {
            let tx = self.tx();
            let Some(gtin) = tx.gtin_id(&code.gtin)? else { return Ok(None) };
            let row = tx.code(&Key { gtin, identity: code })?;
            let there = || {
                let sql = "SELECT pack_no FROM foreign_content WHERE gtin_id = ?1 AND serial = ?2";
                tx.one(sql, (gtin, code.serial.as_bytes()), |r| Ok(PackNo(r.get(0)?)))
            };
            let pack = match row.and_then(|row| row.pack) {
                Some(pack) => Some(pack),
                None => there()?,
            };
            pack.map_or(Ok(None), |pack| tx.pack_by_no(pack))
        };
        found().map_err(Fault::reading)
    }

    /// What lies in a pack: items by code, or packs in the order in which they were opened.
    pub fn content(&self, pack: PackNo) -> Result<Vec<Content>, StoreError> {
        let sql = "SELECT gtin, serial FROM codes JOIN gtins USING(gtin_id) WHERE pack_no = ?1 \
                   ORDER BY gtin, serial";
        let mut all = self.all(sql, [pack.0], |r| {
            let serial: Vec<u8> = r.get(1)?;
            Ok(Content::Item(Identity { gtin: gtin_at(r, 0)?, serial: serial_of(&serial)? }))
        })?;
        let sql = format!("SELECT {NAME} FROM packs WHERE parent = ?1 ORDER BY pack_no");
        all.extend(self.all(&sql, [pack.0], |r| Ok(Content::Pack(named(r, 0)?)))?);
        // That of another agent's pack is known by its word.
        let sql = "SELECT gtins.gtin, serial, child, holds FROM foreign_content JOIN packs USING(pack_no) \
                   LEFT JOIN gtins ON gtins.gtin_id = foreign_content.gtin_id WHERE pack_no = ?1 \
                   ORDER BY gtin, serial, child";
        all.extend(self.all(sql, [pack.0], |r| {
            let Some(serial) = r.get::<_, Option<Vec<u8>>>(1)? else {
                return Ok(Content::Pack(sscc_of(r.get(2)?)?.into()));
            };
            let code = Identity { gtin: gtin_at(r, 0)?, serial: serial_of(&serial)? };
            Ok(match holds_of(r.get(3)?)? {
                Holds::Items => Content::Item(code),
                Holds::Packs(_) => Content::Pack(PackName::Code(code)),
            })
        })?);
        Ok(all)
    }

    /// What became of a pack, oldest first.
    pub fn pack_changes(&self, pack: PackNo) -> Result<Vec<PackChange>, StoreError> {
        let sql = "SELECT state, mark, detail, who, why, at FROM changes WHERE subject = 4 AND no = ?1 ORDER BY id LIMIT ?2";
        self.all(sql, (pack.0, ROWS_MAX), |r| {
            Ok(PackChange {
                state: state_of(r.get(0)?)?,
                what: r.get(1)?,
                detail: r.get(2)?,
                who: r.get(3)?,
                why: r.get(4)?,
                at: Wall(r.get(5)?),
            })
        })
    }

    /// What was taken out of a pack, oldest first.
    pub fn taken_out(&self, pack: PackNo) -> Result<Vec<TakenOut>, StoreError> {
        let sql = format!(
            "SELECT (SELECT gtin FROM gtins g WHERE g.gtin_id = t.gtin_id), serial, t.who, t.why, t.at, {NAME} \
             FROM taken_out t LEFT JOIN packs ON packs.pack_no = t.child WHERE t.pack_no = ?1 ORDER BY id"
        );
        self.all(&sql, [pack.0], |r| {
            let what = match r.get::<_, Option<Vec<u8>>>(1)? {
                Some(serial) => Content::Item(Identity { gtin: gtin_at(r, 0)?, serial: serial_of(&serial)? }),
                None => Content::Pack(named(r, 5)?),
            };
            Ok(TakenOut { what, who: r.get(2)?, why: r.get(3)?, at: Wall(r.get(4)?) })
        })
    }
}

/// The name of a pack that lies, or lay, in another: it has one.
fn named(row: &rusqlite::Row<'_>, place: usize) -> Result<PackName, Fault> {
    name_at(row, place)?.ok_or_else(|| Fault::Damaged("a pack without a name in a pack".to_owned()))
}
