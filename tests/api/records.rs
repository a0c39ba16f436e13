//! The records over a real database.

use tamga::config::Config;
use tamga::desk::{AuditEntry, ImportSlice, Level, Records, RecordsError};
use tamga::records::StoreRecords;
use tamga::store::{Store, writer};
use tamga_domain::lifecycle::State;

/// Alcohol of Uzbekistan: a serial of 7 and a tail of 4.
const CODE: &[u8] = b"01047800000000382100000A7\x1d93AbCd";
const IDENTITY: &[u8] = b"01047800000000382100000A7";
const OTHER_TAIL: &[u8] = b"01047800000000382100000A7\x1d93XXXX";

fn slice(group: &str, codes: &[(u64, &[u8])]) -> ImportSlice {
    let codes = codes.iter().map(|(line, code)| (*line, code.to_vec())).collect();
    ImportSlice { roll: "118".into(), group: group.into(), codes }
}

#[test]
fn a_list_is_taken_once_and_its_codes_are_found_by_scan() {
    let folder = std::env::temp_dir().join(format!("tamga-api-records-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let example = include_str!("../../config/line-pre-printed.toml");
    let mut config = Config::parse("line.toml".as_ref(), example).unwrap();
    config.agent.data = folder.clone();
    let store = Store::open(&folder, "agent").unwrap();
    let (handle, thread) = writer::spawn(store).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let records = StoreRecords::new(&config, handle, runtime.handle().clone(), None);

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
    drop(records);
    thread.join().unwrap();
    let _ = std::fs::remove_dir_all(&folder);
}
