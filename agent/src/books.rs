//! What the upstream side needs of the store, over the store.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tamga_domain::code::Code;
use tamga_domain::document::Piece;
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::{DocumentNo, PassNo, RunId};
use tamga_domain::record::{Answer, PassRange, RunPlan, RunState, Txn};
use tamga_domain::time::Wall;
use tamga_domain::upstream::config::{
    BlockFacts, DocumentFacts, Level, OrderFacts, PackFacts, Progress, ReportFacts, RunHead, Snapshot,
};

use crate::clock;
use crate::store::error::StoreError;
use crate::store::read::documents::DocumentRow;
use crate::store::read::{Reader, View};
use crate::store::writer::{Handle, WriterError};
use crate::upstream::books::{Books, BooksError, Standing};
use crate::upstream::xtrace::issued::codes_of;

/// Pieces of a document that are read in one look.
const PIECES_SLICE: u32 = 100;
/// Passes whose codes are read in one look.
const PASSES_SLICE: u32 = 1000;

/// The books of one data folder.
pub struct StoreBooks {
    pub data: PathBuf,
    pub agent: String,
    pub writer: Handle,
    /// Products that the configuration names, with the codes an hour that their lines are made for.
    pub products: Vec<(Gtin, u32)>,
    /// Codes with less life left count for nothing: the most that any line asks for.
    pub life_left_min_ms: i64,
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> BooksError {
    BooksError { source: Box::new(error), bug: false }
}

fn refused(error: WriterError) -> BooksError {
    let bug = matches!(&error, WriterError::Store(e) if matches!(**e, StoreError::Rule { .. }));
    BooksError { bug, ..failed(error) }
}

impl StoreBooks {
    /// A look at the store, off the async threads.
    async fn look<T: Send + 'static>(
        &self,
        query: impl FnOnce(&View<'_>) -> Result<T, BooksError> + Send + 'static,
    ) -> Result<T, BooksError> {
        let data = self.data.clone();
        let look = move || {
            let reader = Reader::open(&data).map_err(failed)?;
            let view = reader.view().map_err(failed)?;
            query(&view)
        };
        tokio::task::spawn_blocking(look).await.map_err(failed)?
    }
}

impl Books for StoreBooks {
    async fn commit(&self, txn: Txn) -> Result<Vec<Answer>, BooksError> {
        self.writer.commit(txn).await.map_err(refused)
    }

    async fn codes_of_passes(
        &self,
        run: RunId,
        passes: Vec<PassRange>,
    ) -> Result<Vec<(PassNo, Code)>, BooksError> {
        self.look(move |view| codes_of_passes(view, run, &passes).map_err(failed)).await
    }

    async fn pieces(&self, document: DocumentNo, only: Option<Vec<u32>>) -> Result<Vec<Piece>, BooksError> {
        self.look(move |view| pieces_of(view, document, only.as_deref()).map_err(failed)).await
    }

    async fn snapshot(&self) -> Result<Snapshot, BooksError> {
        let agent = self.agent.clone();
        self.look(move |view| snapshot(view, &agent)).await
    }

    async fn standing(&self) -> Result<Standing, BooksError> {
        let products = self.products.clone();
        let (now, life_left_min_ms) = (clock::wall(), self.life_left_min_ms);
        self.look(move |view| standing(view, &products, now, life_left_min_ms).map_err(failed)).await
    }
}

/// The codes that these passes carry now, in the order of the passes.
pub fn codes_of_passes(
    view: &View<'_>,
    run: RunId,
    passes: &[PassRange],
) -> Result<Vec<(PassNo, Code)>, StoreError> {
    let mut codes = Vec::new();
    for range in passes {
        let mut from = range.from.0;
        while from <= range.to.0 {
            let to = range.to.0.min(from.saturating_add(PASSES_SLICE - 1));
            codes.extend(view.codes_of_passes(run, PassNo(from), PassNo(to))?);
            from = to + 1;
        }
    }
    Ok(codes)
}

/// Pieces of a document, by their numbers; all of them where none are given.
pub fn pieces_of(
    view: &View<'_>,
    document: DocumentNo,
    only: Option<&[u32]>,
) -> Result<Vec<Piece>, StoreError> {
    let mut pieces = Vec::new();
    if let Some(only) = only {
        for slice in only.chunk_by(|a, b| a + 1 == *b) {
            if let (Some(first), Some(last)) = (slice.first(), slice.last()) {
                pieces.extend(view.pieces(document, *first, *last)?);
            }
        }
        return Ok(pieces);
    }
    let mut from = 1;
    loop {
        let slice = view.pieces(document, from, from + PIECES_SLICE - 1)?;
        if slice.is_empty() {
            return Ok(pieces);
        }
        pieces.extend(slice);
        from += PIECES_SLICE;
    }
}

/// What a start finds, for the agent with this id.
pub fn snapshot(view: &View<'_>, agent: &str) -> Result<Snapshot, BooksError> {
    let orders = orders(view).map_err(failed)?;
    let before = view.restored_order().map_err(failed)?;
    let restored = before.filter(|last| orders.iter().any(|order| order.order <= *last));
    Ok(Snapshot {
        orders,
        blocks: blocks(view)?,
        reports: reports(view).map_err(failed)?,
        documents: documents(view).map_err(failed)?,
        documents_accepted: view.documents_accepted().map_err(failed)?,
        accepted: view.reports_accepted().map_err(failed)?,
        told: told(view).map_err(failed)?,
        last_po: view.last_po(agent).map_err(failed)?,
        restored,
    })
}

/// How things stand: levels of these products, with the codes an hour that their lines are made for.
pub fn standing(
    view: &View<'_>,
    products: &[(Gtin, u32)],
    now: Wall,
    life_left_min_ms: i64,
) -> Result<Standing, StoreError> {
    let issuable: BTreeMap<Gtin, u64> = view.issuable(now, life_left_min_ms)?.into_iter().collect();
    let level = |(gtin, per_hour): &(Gtin, u32)| {
        let pooled = issuable.get(gtin).copied().unwrap_or(0);
        Level { gtin: *gtin, pooled, per_hour: *per_hour }
    };
    Ok(Standing {
        levels: products.iter().map(level).collect(),
        runs: progress(view)?,
        orders: view.order_rests()?,
        waiting: view.documents_waiting()?,
    })
}

fn orders(view: &View<'_>) -> Result<Vec<OrderFacts>, StoreError> {
    let mut orders = Vec::new();
    for row in view.orders_open()? {
        let packs = view.blocks_of(row.order)?.into_iter();
        let pack = |p: crate::store::read::blocks::BlockRow| PackFacts {
            pack_id: p.pack_id,
            previous: p.previous,
            count: p.count,
        };
        orders.push(OrderFacts {
            order: row.order,
            upstream_id: row.plan.upstream_id.clone(),
            plan: row.plan,
            state: row.state,
            packs: packs.map(pack).collect(),
        });
    }
    Ok(orders)
}

fn blocks(view: &View<'_>) -> Result<Vec<BlockFacts>, BooksError> {
    let orders = view.orders(None, u32::MAX).map_err(failed)?;
    let mut blocks = Vec::new();
    for waiting in view.blocks_waiting().map_err(failed)? {
        let Some(order) = orders.iter().find(|o| o.order == waiting.order) else { continue };
        let body = view.block_body(waiting.block).map_err(failed)?.unwrap_or_default();
        blocks.push(BlockFacts {
            block: waiting.block,
            gtin: order.plan.gtin,
            group: order.plan.group.clone(),
            codes: codes_of(&body).map_err(failed)?,
            unpacked: waiting.unpacked,
            as_received: waiting.as_received,
        });
    }
    Ok(blocks)
}

fn head(plan: RunPlan) -> RunHead {
    RunHead { group: plan.group, batch: plan.batch, expiry: plan.expiry }
}

fn reports(view: &View<'_>) -> Result<Vec<ReportFacts>, StoreError> {
    let mut reports = Vec::new();
    for row in view.reports_open()? {
        let Some((plan, _)) = view.run_plan(row.run)? else { continue };
        reports.push(ReportFacts {
            report: row.report,
            run: row.run,
            head: head(plan),
            passes: row.ranges,
            state: row.state,
            replaces: row.replaces,
            production: row.production,
            at: row.drafted_at,
        });
    }
    Ok(reports)
}

fn documents(view: &View<'_>) -> Result<Vec<DocumentFacts>, StoreError> {
    let facts = |row: DocumentRow| {
        let ends = if row.open < row.draft.pieces { view.piece_ends(row.draft.no)? } else { Vec::new() };
        Ok(DocumentFacts { draft: row.draft, state: row.state, at: row.drafted_at, ends })
    };
    view.documents_open()?.into_iter().map(facts).collect()
}

/// The alarms of the way upstream that are raised.
fn told(view: &View<'_>) -> Result<Vec<String>, StoreError> {
    let rows = view.alarms_open()?.into_iter().filter(|row| row.line.is_none());
    Ok(rows.map(|row| row.key).collect())
}

/// Runs with passes that no report carries, closed ones too, and all of these passes.
fn progress(view: &View<'_>) -> Result<Vec<Progress>, StoreError> {
    let newest = view.newest_report()?;
    let mut all = Vec::new();
    for (run, _) in view.runs_unreported()? {
        let Some((plan, state)) = view.run_plan(run)? else { continue };
        let free = view.passes_unreported(run)?;
        all.push(Progress { run, head: head(plan), free, newest, closed: state == RunState::Closed });
    }
    Ok(all)
}
