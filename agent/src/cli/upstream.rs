//! `tamga upstream`: codes in the pool, reports and documents of packs that are not finally answered.

use clap::Args;

use super::Failed;
use super::daemon::Daemon;
use super::out::{Show, or_dash, short};
use super::status;
use crate::web::dto;

/// Show the codes in the pool, and the reports and documents of packs that are not finally answered
#[derive(Args)]
#[command(after_help = "Example:
  tamga upstream
  tamga upstream --json | jq '.pool[].codes'")]
pub struct Upstream {}

pub async fn run(daemon: &Daemon, show: Show) -> Result<(), Failed> {
    let full: dto::UpstreamFull = daemon.get("/api/v1/upstream").await?;
    show.print(&full, |text| {
        status::upstream(text, &full.upstream);
        if !full.pool.is_empty() {
            let row = |level: &dto::PoolLevel| {
                vec![
                    level.gtin.clone(),
                    or_dash(level.name.as_ref()),
                    level.codes.to_string(),
                    level.on_order.to_string(),
                    or_dash(level.soonest_expiry.as_deref().map(short)),
                ]
            };
            let headings =
                ["cli.l_gtin", "cli.l_product", "cli.l_pooled", "cli.l_on_order", "cli.l_soonest_expiry"];
            text.line("");
            text.table(&headings, &full.pool.iter().map(row).collect::<Vec<_>>());
        }
        if !full.outbox.is_empty() {
            let row = |report: &dto::OpenReport| {
                vec![
                    report.report.to_string(),
                    report.run.to_string(),
                    report.codes.to_string(),
                    text.word(&status::report_key(&report.state)),
                    report.attempts.to_string(),
                    short(&report.since),
                    report.why.clone(),
                ]
            };
            let rows: Vec<_> = full.outbox.iter().map(row).collect();
            text.line("");
            text.table(
                &[
                    "cli.l_report",
                    "cli.l_run",
                    "cli.l_codes",
                    "cli.l_state",
                    "cli.l_attempts",
                    "cli.l_since",
                    "cli.l_reason",
                ],
                &rows,
            );
        }
        if !full.documents.is_empty() {
            let row = |document: &dto::pack::Document| {
                vec![
                    document.document.to_string(),
                    document.kind.text.clone(),
                    document.pieces.to_string(),
                    document.codes.to_string(),
                    document.state.text.clone(),
                    document.attempts.to_string(),
                    short(&document.since),
                    document.why.clone(),
                ]
            };
            let rows: Vec<_> = full.documents.iter().map(row).collect();
            let headings = [
                "cli.l_document",
                "cli.l_kind",
                "cli.l_pieces",
                "cli.l_codes",
                "cli.l_state",
                "cli.l_attempts",
                "cli.l_since",
                "cli.l_reason",
            ];
            text.line("");
            text.table(&headings, &rows);
        }
    });
    Ok(())
}
