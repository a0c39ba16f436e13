//! The wiring of packing stations.

use std::sync::Arc;

use tamga_domain::ids::StationNo;
use tamga_domain::pack::PackFacts;
use tamga_domain::pack::station::Station;
use tokio::sync::{mpsc, watch};

use super::{ASKS_MAX, Ended, INPUTS_MAX, StartError, Wiring, numbered};
use crate::config::{self, Config};
use crate::desk::StationDesk;
use crate::health::Beat;
use crate::plan;
use crate::station::{self, Wires};
use crate::store::Store;
use crate::store::error::StoreError;

/// The number of each station, kept by its name, and the pack that it was filling; and the names that packs get.
pub(super) fn recover(
    store: &mut Store,
    config: &Config,
) -> Result<Vec<(StationNo, Option<PackFacts>)>, StoreError> {
    if let Some(names) = &config.names {
        store.use_names(names)?;
    }
    if config.stations.is_empty() {
        return Ok(Vec::new());
    }
    let names = config.stations.iter().map(|station| station.name.as_str());
    let numbers = numbered(store, "stations", names)?;
    let recovered = |no| Ok((StationNo(no), store.open_pack(StationNo(no))?));
    numbers.into_iter().map(recovered).collect()
}

impl Wiring<'_> {
    pub(super) fn station(
        &mut self,
        place: u64,
        one: &config::station::Station,
        (no, open): (StationNo, Option<PackFacts>),
    ) -> Result<(), StartError> {
        let core = Station::new(plan::station(self.config, no, one), open);
        let (events_in, events) = mpsc::channel(INPUTS_MAX);
        let devices = crate::devices::station::start(place, one, &events_in, &mut self.devices)?;
        self.traces.extend(devices.traces);
        let (ask, asked) = mpsc::channel(ASKS_MAX);
        let (status, seen) = watch::channel(Arc::new(core.status()));
        let (writer, answers) = self.writer.port();
        let beat = Beat::default();
        let who = format!("station {}", one.name);
        self.watched.push((who.clone(), beat.clone()));
        let mut wires = Wires {
            events,
            asked,
            writer,
            answers,
            printer: devices.printer,
            signals: devices.signals,
            status,
            stop: self.stopped.clone(),
            bar: self.barred.clone(),
            lines: self.behind.clone(),
            beat,
        };
        self.lines.spawn(async move {
            let end = station::run(core, &mut wires).await;
            Ended { who, end, _wires: Box::new(wires) }
        });
        let name = one.name.clone();
        self.stations.push(StationDesk {
            name,
            terms: one.terms,
            label_counts: one.label_counts(),
            ask,
            status: seen,
        });
        Ok(())
    }
}
