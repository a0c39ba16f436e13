//! What `doctor` finds: the records' own look (disk, database), then lines, devices, alarms, traces, the way upstream
//! and the configuration file. Each finding says what is so and, where it is not well, what to do. Only looking.

use axum::extract::State;
use axum::{Extension, Json};
use tamga_domain::line::ask::{Alarm, OddResults, RunStatus};

use super::error::ApiError;
use super::{App, dto, shape};
use crate::clock;
use crate::config::Config;
use crate::desk::{BrokerStatus, Finding, Level, LineDesk, StationDesk, UpstreamStatus};
use crate::words::{self, Language};

/// Certificates and times of reports begin to be refused not far beyond.
pub(super) const CLOCK_MS_BAD: i64 = 120_000;
/// More than the way of an answer and the second of a `Date` header.
const CLOCK_MS_WATCH: i64 = 5_000;
/// A report that waits longer than this has a reason that a person should know.
const REPORT_MS_OLD: i64 = 3_600_000;
/// From so many items on, the share of unread ones says something about the reader.
const ITEMS_JUDGED_MIN: u32 = 20;
/// Unread items in a hundred at which the reader is looked at.
const UNREAD_PERCENT: u32 = 10;

pub async fn doctor(
    State(app): State<App>,
    Extension(language): Extension<Language>,
) -> Result<Json<dto::Doctor>, ApiError> {
    let (mut findings, upstream_alarms) =
        app.records(|records| Ok((records.doctor()?, records.upstream_alarms()?))).await?;
    for line in &app.desk.lines {
        look_at_line(line, language, &mut findings);
    }
    for station in &app.desk.stations {
        look_at_station(station, language, &mut findings);
    }
    for (device, trace) in &app.desk.devices {
        if trace.level() != tamga_drivers::trace::Level::Off {
            findings.push(found(Level::Watch, "http.doctor_trace", &[("device", device)]));
        }
    }
    look_upstream(&app, &mut findings);
    if let Some(broker) = &app.desk.broker {
        look_at_broker(&broker.borrow(), &mut findings);
    }
    for alarm in &upstream_alarms {
        // Clock and connection have findings of their own.
        if !["alarm.broker_away", "alarm.clock", "alarm.upstream_away", "alarm.upstream_key"]
            .contains(&alarm.key.as_str())
        {
            findings.push(of_alarm(
                &words::say(language, shape::of_no_line(&alarm.key), &[]),
                alarm,
                language,
            ));
        }
    }
    findings.push(look_at_config(&app).await);
    let worst = findings.iter().map(|f| f.level).max().unwrap_or(Level::Good);
    Ok(Json(dto::Doctor {
        level: shape::level(worst).to_owned(),
        findings: findings.iter().map(|f| shape::finding(f, language)).collect(),
    }))
}

fn look_at_line(line: &LineDesk, language: Language, findings: &mut Vec<Finding>) {
    let status = line.status.borrow().clone();
    if line.ask.is_closed() {
        findings.push(found(Level::Bad, "http.doctor_line_gone", &[("line", &line.name)]));
    }
    for device in &status.devices {
        let args = [("line", line.name.as_str()), ("device", device.name.as_str())];
        if !device.connected {
            findings.push(found(Level::Bad, "http.doctor_device_away", &args));
            continue;
        }
        if device.faults.is_empty() {
            findings.push(found(Level::Good, "http.doctor_device_well", &args));
        }
        for fault in &device.faults {
            let text = shape::said(language, "fault", fault).text;
            let args = [args[0], args[1], ("what", text.as_str())];
            findings.push(found(Level::Bad, "http.doctor_device_fault", &args));
        }
    }
    if let (Some(run), Some(why)) = (&status.run, &status.stopped_by) {
        let why = shape::said(language, "stop", why).text;
        let number = run.run.to_string();
        let args = [("line", line.name.as_str()), ("run", number.as_str()), ("why", why.as_str())];
        findings.push(found(Level::Watch, "http.doctor_stands", &args));
    }
    if let Some(run) = &status.run {
        findings.extend(reader_silent(&line.name, run));
    }
    findings.extend(odd_results(&line.name, status.odd_results));
    for alarm in &status.alarms {
        match alarm.key.as_str() {
            "alarm.pass_unknown" => {
                let args = [("line", line.name.as_str()), ("codes", &alarm.detail)];
                findings.push(found(Level::Bad, "http.doctor_pass_unknown", &args));
            }
            // Told as what the device is, and as why the line stands.
            key if key.contains(".stop.") || key == "alarm.printer_lost" => {}
            _ => findings.push(of_alarm(&line.name, alarm, language)),
        }
    }
}

fn look_at_station(station: &StationDesk, language: Language, findings: &mut Vec<Finding>) {
    let status = station.status.borrow().clone();
    let before = findings.len();
    let of = ("station", station.name.as_str());
    if station.ask.is_closed() {
        findings.push(found(Level::Bad, "http.doctor_station_gone", &[of]));
    }
    if !status.reader_connected {
        findings.push(found(Level::Bad, "http.doctor_scanner_away", &[of]));
    }
    if status.hand_connected == Some(false) {
        findings.push(found(Level::Bad, "http.doctor_scanner_away", &[of]));
    }
    if status.printer_connected == Some(false) {
        findings.push(found(Level::Bad, "http.doctor_pack_printer_away", &[of]));
    }
    for fault in &status.faults {
        let text = shape::said(language, "fault", fault).text;
        findings.push(found(Level::Bad, "http.doctor_station_fault", &[of, ("what", &text)]));
    }
    if findings.len() == before {
        findings.push(found(Level::Good, "http.doctor_station_well", &[of]));
    }
    if status.lost > 0 {
        let count = status.lost.to_string();
        findings.push(found(Level::Watch, "http.doctor_scans_lost", &[of, ("count", &count)]));
    }
}

/// A reader that is connected and yet says nothing of many items.
fn reader_silent(line: &str, run: &RunStatus) -> Option<Finding> {
    let of = |wanted: &str| run.rejected.iter().find(|(key, _)| key == wanted).map_or(0, |(_, n)| *n);
    let unread = of("no_read") + of("no_result");
    let many = u64::from(unread) * 100 >= u64::from(run.triggers) * u64::from(UNREAD_PERCENT);
    let (unread, items) = (unread.to_string(), run.triggers.to_string());
    let args = [("line", line), ("unread", unread.as_str()), ("items", items.as_str())];
    (run.triggers >= ITEMS_JUDGED_MIN && many).then(|| found(Level::Watch, "http.doctor_unread", &args))
}

/// Results that a better configured reader would not give.
fn odd_results(line: &str, odd: OddResults) -> impl Iterator<Item = Finding> {
    let counts = [
        ("http.doctor_strays", odd.strays),
        ("http.doctor_early", odd.early),
        ("http.doctor_gs", odd.gs_restored),
        ("http.doctor_dropped", odd.dropped),
    ];
    let some = counts.into_iter().filter(|(_, count)| *count > 0);
    some.map(move |(key, count)| found(Level::Watch, key, &[("line", line), ("count", &count.to_string())]))
}

fn of_alarm(of: &str, alarm: &Alarm, language: Language) -> Finding {
    let text = shape::alarm(None, alarm, language).text;
    found(Level::Watch, "http.doctor_alarm", &[("of", of), ("text", &text)])
}

fn look_upstream(app: &App, findings: &mut Vec<Finding>) {
    if app.desk.config.offline {
        findings.push(found(Level::Good, "http.doctor_offline", &[]));
        return;
    }
    let upstream = app.desk.upstream.borrow().clone();
    findings.push(match (upstream.last_answer_ms, upstream.trouble.is_empty()) {
        (_, false) => found(Level::Watch, "http.doctor_upstream_trouble", &[("trouble", &upstream.trouble)]),
        (None, true) => found(Level::Watch, "http.doctor_upstream_silent", &[]),
        (Some(_), true) => found(Level::Good, "http.doctor_upstream_well", &[]),
    });
    if upstream.unknown > 0 {
        let count = upstream.unknown.to_string();
        findings.push(found(Level::Watch, "http.doctor_upstream_unknown", &[("count", &count)]));
    }
    findings.extend(reports_wait(&upstream, clock::wall().0));
    findings.extend(upstream.clock_ahead_ms.map(of_clock));
}

fn look_at_broker(broker: &BrokerStatus, findings: &mut Vec<Finding>) {
    let waiting = broker.share.waiting.unwrap_or(0).to_string();
    let args = [("address", broker.address.as_str()), ("waiting", &waiting), ("trouble", &broker.trouble)];
    findings.push(match broker.share.connected {
        true => found(Level::Good, "http.doctor_broker_well", &args),
        false => found(Level::Watch, "http.doctor_broker_away", &args),
    });
    for heard in &broker.share.from {
        let agent = heard.agent.to_string();
        if broker.unreadable.contains(&heard.agent) {
            findings.push(found(Level::Bad, "http.doctor_broker_unreadable", &[("agent", &agent)]));
        } else if heard.strange > 0 {
            let count = heard.strange.to_string();
            let args = [("count", count.as_str()), ("agent", &agent)];
            findings.push(found(Level::Watch, "http.doctor_broker_strange", &args));
        } else if heard.mark.seq == 0 && broker.share.connected {
            findings.push(found(Level::Watch, "http.doctor_broker_silent", &[("agent", &agent)]));
        }
    }
}

fn reports_wait(upstream: &UpstreamStatus, now_ms: i64) -> Option<Finding> {
    let waits_ms = now_ms - upstream.oldest_open_ms?;
    let (count, minutes) = (upstream.open_reports.to_string(), (waits_ms / 60_000).to_string());
    let args = [("count", count.as_str()), ("minutes", minutes.as_str())];
    (waits_ms > REPORT_MS_OLD).then(|| found(Level::Watch, "http.doctor_reports_wait", &args))
}

fn of_clock(ahead_ms: i64) -> Finding {
    let seconds = (ahead_ms / 1000).to_string();
    let args = [("seconds", seconds.as_str())];
    match ahead_ms.abs() {
        CLOCK_MS_BAD.. => found(Level::Bad, "http.doctor_clock", &args),
        CLOCK_MS_WATCH.. => found(Level::Watch, "http.doctor_clock", &args),
        _ => found(Level::Good, "http.doctor_clock_well", &[]),
    }
}

/// Whether the daemon would start with its file as it is now, and whether it did.
async fn look_at_config(app: &App) -> Finding {
    let config = app.desk.config.clone();
    let path = config.path.display().to_string();
    let look = tokio::task::spawn_blocking(move || match std::fs::read_to_string(&config.path) {
        Ok(text) if *text == *config.text => ("http.doctor_config", Level::Good),
        Ok(text) => match Config::parse(&config.path, &text) {
            Ok(_) => ("http.doctor_config_changed", Level::Watch),
            Err(_) => ("http.doctor_config_broken", Level::Bad),
        },
        Err(_) => ("http.doctor_config_gone", Level::Bad),
    });
    let (key, level) = look.await.unwrap_or(("http.doctor_config_gone", Level::Bad));
    found(level, key, &[("path", &path)])
}

fn found(level: Level, key: &str, args: &[(&str, &str)]) -> Finding {
    let args = args.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Finding { level, key: key.to_owned(), args }
}

#[cfg(test)]
mod tests {
    use tamga_domain::ids::AgentId;
    use tamga_domain::share::Mark;
    use tamga_domain::share::step::{Heard, ShareStatus};

    use super::*;

    #[test]
    fn a_broker_that_is_away_is_told_and_so_is_an_agent_of_whom_nothing_was_ever_heard() {
        let heard = |agent, seq| Heard {
            agent: AgentId(agent),
            mark: Mark { stream: 1, seq },
            doubles: 0,
            gaps: 0,
            strange: u64::from(agent == 2),
            silent: None,
        };
        let share = |connected| ShareStatus {
            connected,
            waiting: Some(3),
            from: vec![heard(1, 0), heard(2, 7), heard(3, 7)],
            ..ShareStatus::default()
        };
        let look = |connected| {
            let (mut findings, share) = (Vec::new(), share(connected));
            look_at_broker(
                &BrokerStatus { share, unreadable: vec![AgentId(3)], ..BrokerStatus::default() },
                &mut findings,
            );
            findings
                .into_iter()
                .map(|f| (f.level, f.key, f.args.last().map(|a| a.1.clone())))
                .collect::<Vec<_>>()
        };
        let of = |level, key: &str, last: &str| (level, key.to_owned(), Some(last.to_owned()));
        let unreadable = of(Level::Bad, "http.doctor_broker_unreadable", "00000003");
        let strange = of(Level::Watch, "http.doctor_broker_strange", "00000002");
        let silent = of(Level::Watch, "http.doctor_broker_silent", "00000001");
        let well = of(Level::Good, "http.doctor_broker_well", "");
        assert_eq!(look(true), [well, silent, strange.clone(), unreadable.clone()]);
        assert_eq!(look(false), [of(Level::Watch, "http.doctor_broker_away", ""), strange, unreadable]);
    }

    #[test]
    fn a_clock_is_judged_in_both_directions() {
        for (ahead_ms, level) in [
            (0, Level::Good),
            (4_000, Level::Good),
            (-5_000, Level::Watch),
            (119_000, Level::Watch),
            (-120_000, Level::Bad),
            (3_600_000, Level::Bad),
        ] {
            assert_eq!(of_clock(ahead_ms).level, level, "{ahead_ms}");
        }
    }

    #[test]
    fn a_report_may_wait_for_an_hour() {
        let waiting = |since: Option<i64>| UpstreamStatus {
            open_reports: 2,
            oldest_open_ms: since,
            ..UpstreamStatus::default()
        };
        assert_eq!(reports_wait(&waiting(None), 9_000_000), None);
        assert_eq!(reports_wait(&waiting(Some(9_000_000 - REPORT_MS_OLD)), 9_000_000), None);
        let old = reports_wait(&waiting(Some(0)), 9_000_000).unwrap();
        assert_eq!(old.args[1], ("minutes".to_owned(), "150".to_owned()));
    }
}
