//! Reports that the state system refuses for some of their codes: the rest is accepted soon, the codes are named.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tamga_simulators::model::plant::Kind;
use tamga_simulators::model::xtrace::codes::CodeStatus;
use tamga_simulators::model::xtrace::fault::{FaultPlan, Refusal};

use crate::shift::{Shift, close, passed};
use crate::world::operator::{Deeds, Operator};
use crate::world::{World, scratch, until};

/// The identity of a code as it was scanned: what stands before its separator.
fn identity(code: &[u8]) -> String {
    String::from_utf8(code.split(|b| *b == 0x1d).next().unwrap().to_vec()).unwrap()
}

async fn refused_as(refusal: Refusal, name: &str) {
    let mut shift = Shift::of(Kind::PrintAndApply, name);
    // All goes in one report, at the end.
    shift.wanted.report_every_s = 3600;
    let dir = scratch(&format!("line-refused-{name}"));
    let world = World::build(&shift.wanted, &dir).await;
    let config = tamga::config::Config::load(&world.config).unwrap_or_else(|p| panic!("{p}"));
    let agent =
        tamga::run::start(config, None).await.unwrap_or_else(|e| panic!("{}", tamga::chain::chain(&e)));
    let operator = Operator::new(world.api, &dir.join("data"));
    let mut deeds = Deeds::default();
    let run = passed(&shift, &world, &operator, &mut deeds).await.unwrap();
    let codes = world.plant.truth().passed_codes();
    let bad: Vec<Vec<u8>> = codes.iter().step_by(codes.len() / 6 + 1).cloned().collect();
    assert!(bad.len() >= 3, "{}", bad.len());
    let refused_codes = bad.iter().map(|code| identity(code)).collect();
    world.upstream.faults(FaultPlan { refused_codes, refusal, ..FaultPlan::default() });
    close(&world, &operator, &mut deeds).await;

    let sheet = until("the rest to be accepted", Duration::from_secs(120), async || {
        let sheet = operator.sheet(run).await.ok()?;
        let reports = &sheet["reports"];
        (reports["open"] == 0 && reports["unreported"] == 0).then_some(sheet)
    })
    .await;
    let (good, held) = (codes.len() - bad.len(), bad.len());
    let reports = &sheet["reports"];
    let told = ["accepted", "held", "refused"].map(|key| reports[key].as_u64().unwrap() as usize);
    assert_eq!(told, [good, held, held], "{name}: {reports}");
    assert_eq!(sheet["codes"]["applied"], good, "{name}");

    let truth = world.upstream.truth();
    let bad_ones: BTreeSet<String> = bad.iter().map(|c| identity(c)).collect();
    let applied: BTreeSet<String> = truth
        .codes
        .iter()
        .filter(|c| c.status == CodeStatus::Applied)
        .map(|c| identity(c.full.as_bytes()))
        .collect();
    assert_eq!(applied.len(), good, "{name}");
    assert!(applied.is_disjoint(&bad_ones));
    let taken =
        truth.documents.iter().filter(|d| d.status == "SUCCESS").map(|d| d.codes.len()).sum::<usize>();
    assert_eq!(taken, good, "{name}: nothing twice");
    let named = sheet["unresolved"].as_array().unwrap();
    let why = named.iter().filter(|u| u["report"].is_u64() && !u["why"].as_str().unwrap().is_empty());
    assert_eq!(why.count(), held, "{name}: {named:?}");

    // The code itself, the alarms, the status and the doctor say so.
    let story = operator.story(&bad[0]).await.unwrap();
    let said = |r: &Value| r["unresolved"].is_string();
    assert!(story["reports"].as_array().unwrap().iter().any(said), "{name}: {story}");
    for path in ["/api/v1/alarms", "/api/v1/status", "/api/v1/doctor"] {
        let told = operator.call(Method::GET, path, None).await.unwrap().to_string();
        assert!(
            told.contains("The state system refused codes on goods that passed"),
            "{name}: {path}: {told}"
        );
    }
    agent.stop().await;
    let World { plant, upstream, .. } = world;
    plant.shutdown().await;
    tokio::task::spawn_blocking(move || drop(upstream)).await.unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_refused_report_the_bad_codes_are_named_and_the_rest_is_accepted() {
    tokio::join!(
        refused_as(Refusal::Message, "message"),
        refused_as(Refusal::Codes, "codes"),
        refused_as(Refusal::Html, "html"),
        refused_as(Refusal::AtOnce, "at-once"),
    );
}
