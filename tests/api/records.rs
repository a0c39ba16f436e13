//! The records over a real database.

use tamga::config::Config;
use tamga::desk::{AuditEntry, ImportSlice, Level, Records, RecordsError};
use tamga::records::StoreRecords;
use tamga::store::read::packs::Content;
use tamga::store::{Store, writer};
use tamga_domain::day::Day;
use tamga_domain::ids::{LineNo, PackNo, RunId, StationNo, Tag, TxnId};
use tamga_domain::lifecycle::State;
use tamga_domain::pack::record::{NewName, PackRecord};
use tamga_domain::pack::{Child, Holds, Level as PackLevel, Mixing, PackState, Terms};
use tamga_domain::record::{ItemEnd, Record, RunPlan, RunState, Txn};
use tamga_domain::sscc::Sscc;
use tamga_domain::time::Wall;

/// Alcohol of Uzbekistan: a serial of 7 and a tail of 4.
const CODE: &[u8] = b"01047800000000382100000A7\x1d93AbCd";
const IDENTITY: &[u8] = b"01047800000000382100000A7";
/// An SSCC.
const NAME: &[u8] = b"046000000000000015";
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

/// An item of the list that passed and was packed, and the box that it lies in.
#[test]
fn a_pack_is_found_by_its_name_and_by_an_item_in_it_and_an_item_knows_its_pack() {
    records("tamga-api-packs", |records, write| {
        records.import(&slice("alcohol", &[(3, CODE)])).unwrap();
        assert!(records.pack(CODE).unwrap().is_none());
        let code = records.story(CODE).unwrap().unwrap().code.code;
        let (run, tag, at, who) = (RunId(1), Tag { boot: 1, number: 1 }, Wall(1), || "anna".to_owned());
        let plan = RunPlan {
            key: "k".into(),
            gtin: code.gtin,
            group: "alcohol".into(),
            quantity: 0,
            batch: "B1".into(),
            production: Day(0),
            expiry: None,
            before_order: false,
        };
        write(Record::RunOpened { line: LineNo(0), plan, who: who(), at, gate: None });
        write(Record::RunState { run, state: RunState::Running, why: String::new(), who: who(), at });
        write(Record::Trigger { run, tag, at });
        write(Record::Verify { run, code, tag, at });
        write(Record::End { run, tag, end: ItemEnd::Passed { code }, at });
        let pack = PackNo(1);
        let mixing = Mixing::SameRun;
        let terms = Terms { level: PackLevel::Box, holds: Holds::Items, capacity: 3, mixing };
        let children = vec![Child::Item { identity: code, tail: None }];
        let station = StationNo(0);
        write(Record::Pack(PackRecord::In { station, pack: None, terms, children, who: who(), at }));
        let name = Sscc::parse(NAME).unwrap();
        write(Record::Pack(PackRecord::Named { pack, name: NewName::Read(name), at }));
        write(Record::Pack(PackRecord::Label { pack, reason: "torn".into(), who: who(), at }));
        let reason = "end of the batch".into();
        write(Record::Pack(PackRecord::Short { pack, reason, who: who(), at }));
        write(Record::Pack(PackRecord::Closed { pack, who: who(), at }));

        assert_eq!(records.story(IDENTITY).unwrap().unwrap().pack.unwrap().name, Some(name.into()));
        let with_ai = [b"00".as_slice(), NAME].concat();
        for scan in [CODE, OTHER_TAIL, IDENTITY, NAME, &with_ai] {
            let found = records.pack(scan).unwrap().unwrap();
            assert_eq!((found.pack.pack, found.pack.state), (pack, PackState::Closed));
            assert_eq!((found.within.len(), found.content), (0, vec![Content::Item(code)]));
            let changes: Vec<_> = found
                .changes
                .iter()
                .map(|c| (c.state, [&c.what, &c.detail, &c.why].map(String::as_str)))
                .collect();
            let named = std::str::from_utf8(NAME).unwrap();
            let expected = [
                (PackState::Open, ["opened", "", ""]),
                (PackState::Open, ["named", named, ""]),
                (PackState::Open, ["label", "1", "torn"]),
                (PackState::Closed, ["short", "", "end of the batch"]),
            ];
            assert_eq!(changes, expected);
        }
        assert!(records.pack(b"046000000000000022").unwrap().is_none());
        assert!(matches!(records.pack(b"046000000000000023"), Err(RecordsError::NotACode)));
    });
}
