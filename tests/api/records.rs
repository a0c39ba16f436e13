//! The records over a real database.

use tamga::config::Config;
use tamga::desk::{AuditEntry, ImportSlice, Level, Records, RecordsError};
use tamga::records::StoreRecords;
use tamga::store::{Store, writer};
use tamga_domain::ids::TxnId;
use tamga_domain::lifecycle::State;
use tamga_domain::record::{Record, Txn};
use tamga_domain::time::Wall;

/// Alcohol of Uzbekistan: a serial of 7 and a tail of 4.
const CODE: &[u8] = b"01047800000000382100000A7\x1d93AbCd";
const IDENTITY: &[u8] = b"01047800000000382100000A7";
const OTHER_TAIL: &[u8] = b"01047800000000382100000A7\x1d93XXXX";

fn slice(group: &str, codes: &[(u64, &[u8])]) -> ImportSlice {
    let codes = codes.iter().map(|(line, code)| (*line, code.to_vec())).collect();
    ImportSlice { roll: "118".into(), group: group.into(), codes }
}

/// The records over a new database in a folder of this name, and what they write with.
fn records(name: &str, test: impl FnOnce(&StoreRecords, &dyn Fn(Record))) {
    let folder = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let example = include_str!("../../config/line-pre-printed.toml");
    let mut config = Config::parse("line.toml".as_ref(), example).unwrap();
    config.agent.data = folder.clone();
    let store = Store::open(&folder, "agent").unwrap();
    let (handle, thread) = writer::spawn(store).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let records = StoreRecords::new(&config, handle.clone(), runtime.handle().clone(), None);
    let write = |record| {
        let txn = Txn { id: TxnId(1), records: vec![record] };
        runtime.block_on(handle.commit(txn)).unwrap();
    };
    test(&records, &write);
    drop((records, handle));
    thread.join().unwrap();
    let _ = std::fs::remove_dir_all(&folder);
}

/// What refused codes are is told once, and nothing that lasts could end it; a pool is low until it is not.
#[test]
fn an_alarm_of_what_happened_ends_when_it_is_acknowledged_and_one_of_what_lasts_does_not() {
    records("tamga-api-alarms", |records, write| {
        let keys = ["alarm.codes_refused", "alarm.order_twice", "alarm.upstream_away"];
        for key in keys {
            let detail = "o1".to_owned();
            write(Record::AlarmRaised { line: None, key: key.to_owned(), detail, at: Wall(1) });
        }
        for key in keys {
            assert!(records.acknowledge(key, "op".to_owned()).unwrap(), "{key}");
        }
        let left = records.upstream_alarms().unwrap();
        let left: Vec<_> = left.iter().map(|a| (a.key.as_str(), a.acknowledged)).collect();
        assert_eq!(left, [("alarm.upstream_away", true)]);
        assert!(!records.acknowledge("alarm.order_twice", "op".to_owned()).unwrap(), "it is over");
    });
}

#[test]
fn a_list_is_taken_once_and_its_codes_are_found_by_scan() {
    records("tamga-api-records", |records, _| taken_once_and_found(records));
}

fn taken_once_and_found(records: &StoreRecords) {
    let list = slice("alcohol", &[(3, CODE), (4, b"junk"), (9, CODE)]);
    let imported = records.import(&list).unwrap();
    assert_eq!(imported.taken, 1);
    let refused: Vec<_> = imported.refused.iter().map(|r| (r.line, r.why.as_str())).collect();
    assert_eq!(refused, [(4, "http.code_malformed"), (9, "http.code_known")]);
    assert_eq!(records.import(&slice("alcohol", &[(3, CODE)])).unwrap().taken, 0);
    let no_group = records.import(&slice("cheese99", &[(1, CODE)]));
    assert!(matches!(no_group, Err(RecordsError::Refused(why)) if why.key == "http.unknown_group"));

    for (scan, tail_agrees) in [(CODE, Some(true)), (OTHER_TAIL, Some(false)), (IDENTITY, None)] {
        let story = records.story(scan).unwrap().unwrap();
        assert_eq!((story.code.state, story.tail_agrees), (State::Stock, tail_agrees));
    }
    assert!(records.story(b"01047800000000382100000B7").unwrap().is_none());
    assert!(matches!(records.story(b"junk"), Err(RecordsError::NotACode)));

    assert!(records.doctor().unwrap().iter().all(|finding| finding.level == Level::Good));
    let text = || "x".to_owned();
    records.audit(AuditEntry { who: text(), from: text(), command: text(), outcome: text() }).unwrap();
}
