//! Group packs: named by codes of their own, packed by them.

use super::*;

fn with_six_packs(terms: Terms, naming: Naming, count: u32) -> Desk {
    let six_pack = six_pack(0).identity.gtin;
    let product = Product { name: "Water, 2".into(), group: "water".into(), layout: layout() };
    let mut config = StationConfig { terms, ..config(naming) };
    config.products.insert(six_pack, product);
    config.group_packs.insert(six_pack, GroupOf { gtin: gtin(), count });
    Desk::with(Station::new(config, None))
}

#[test]
fn a_group_pack_is_closed_by_the_read_of_its_own_code() {
    let terms = Terms { level: Level::Group, ..config(Naming::Codes).terms };
    let mut d = with_six_packs(terms, Naming::Codes, 2);
    let read = |n: u32| layout().render_full(&six_pack(n)).unwrap();
    d.scan(&read(1));
    assert_eq!(d.said(), "pack.not_in.wrong_level", "nothing is in it");
    d.item(1);
    d.scan(&read(1));
    assert_eq!((d.said().as_str(), d.heard.pop()), ("pack.not_full", Some(Signal::Refused)));
    d.item(2);
    assert_eq!(d.said(), "pack.scan_code");
    d.scan(&name(5).render());
    assert_eq!(d.said(), "pack.not_in.wrong_level", "an SSCC is no name of a group pack");
    d.scan(&read(99));
    assert_eq!((d.said().as_str(), d.heard.pop()), ("pack.not_in.not_seen", Some(Signal::Refused)));
    d.scan(&read(1));
    assert_eq!((d.said().as_str(), d.heard.pop()), ("pack.closed", Some(Signal::Closed)));
    let of = |r: &PackRecord| match r {
        PackRecord::Named { name: NewName::Code { identity, tail, of }, .. } => {
            Some((*identity, tail.clone(), *of))
        }
        _ => None,
    };
    let named: Vec<_> = d.records.iter().filter_map(of).collect();
    assert_eq!(named.last(), Some(&(six_pack(1).identity, b"Ab1=".to_vec(), gtin())));
    assert!(d.printed.is_empty());
    // A group pack of six is not named here.
    let mut d = with_six_packs(terms, Naming::Codes, 6);
    d.item(1);
    d.item(2);
    d.scan(&read(1));
    assert_eq!(d.said(), "pack.not_in.other_product");
}

#[test]
fn group_packs_go_into_a_box_by_their_codes() {
    let terms = Terms { holds: Holds::Packs(Level::Group), ..config(Naming::Printed).terms };
    let mut d = with_six_packs(terms, Naming::Printed, 2);
    d.scan(&layout().render_full(&six_pack(1)).unwrap());
    let name = PackName::Code(six_pack(1).identity);
    assert_eq!(d.content, [Child::Pack { name, tail: Some(b"Ab1=".to_vec()) }]);
    let scan = format!("(01){}(21)S{:012}", six_pack(1).identity.gtin, 1).into_bytes();
    d.content = vec![Child::pack(name)];
    let out = StationAsk::Out { scan, reason: "dented".into() };
    assert_eq!(d.ask(out), Some(Ok(StationReply::Out { left: 0 })), "by its identity alone");
}
