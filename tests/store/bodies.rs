//! Bodies of blocks: no transaction writes or frees more than a few pages of one, and a kill in the middle of one
//! leaves no block behind.

use tamga::store::Store;
use tamga::store::limits::{PIECE_BYTES, PIECES_FREED_MAX};
use tamga::store::writer::spawn;
use tamga_domain::ids::{BlockNo, OrderNo, TxnId};
use tamga_domain::record::{Answer, Record, Txn};

use crate::kit::*;

/// Ten pieces and a half.
fn body(seed: u8) -> Vec<u8> {
    (0..PIECE_BYTES * 21 / 2).map(|n| (n % 251) as u8 ^ seed).collect()
}

fn block(w: &mut World, order: OrderNo, body: &[u8]) -> Txn {
    let (pack_id, previous, body) = ("p".into(), None, body.to_vec());
    Txn {
        id: TxnId(1),
        records: vec![Record::Block { order, pack_id, previous, body, count: 3, at: w.at() }],
    }
}

fn apply(w: &mut World, txn: &Txn) -> BlockNo {
    match w.store.apply(std::slice::from_ref(txn)).unwrap()[0][..] {
        [Answer::Block(block)] => block,
        ref other => panic!("{other:?}"),
    }
}

fn pieces(w: &World) -> usize {
    w.picture().lines().filter(|l| l.starts_with("pieces: ")).count()
}

/// Does it, and answers how many pages it wrote.
fn pages<T>(w: &mut World, act: impl FnOnce(&mut Store) -> T) -> (T, u32) {
    let before = w.store.wal_pages();
    let done = act(&mut w.store);
    (done, w.store.wal_pages() - before)
}

/// A piece, the pages above it, and the rows beside it.
const PAGES_MAX: u32 = PIECE_BYTES as u32 / 4096 + 8;

#[test]
fn a_large_body_is_kept_and_freed_a_few_pages_at_a_time() {
    let mut w = World::new();
    let order = w.order("PO-1");
    w.ready(order, None);
    let txn = block(&mut w, order, &body(0));
    let mut ahead = 0;
    loop {
        let (more, pages) = pages(&mut w, |s| s.keep_ahead(&txn).unwrap());
        assert!(pages <= PAGES_MAX, "{pages} pages");
        ahead += 1;
        // Other commits come in between, and the pieces are no block.
        w.order(&format!("other-{ahead}"));
        assert_eq!(w.store.view().blocks_waiting().unwrap(), []);
        w.verified();
        if !more {
            break;
        }
    }
    assert_eq!((ahead, pieces(&w)), (10, 10));
    let (block, written) = pages(&mut w, |s| match s.apply(std::slice::from_ref(&txn)).unwrap()[0][..] {
        [Answer::Block(block)] => block,
        ref other => panic!("{other:?}"),
    });
    assert!(written <= PAGES_MAX, "{written} pages");
    assert_eq!(w.store.view().block_body(block).unwrap(), Some(body(0)));
    w.verified();
    // Again: known, whole or in pieces.
    assert!(!w.store.keep_ahead(&txn).unwrap());
    assert_eq!(apply(&mut w, &txn), block);
    w.unpack(block, 0, 1..=3);
    assert_eq!(w.store.view().block_body(block).unwrap(), None);
    assert_eq!(pieces(&w), 11);
    w.verified();
    let mut left = 11;
    while w.store.maintain(true).unwrap() {
        let now = pieces(&w);
        assert!(left - now <= PIECES_FREED_MAX as usize);
        left = now;
        w.verified();
    }
    assert_eq!(pieces(&w), 0);
    assert!(!w.picture().contains("bodies: "));
}

#[test]
fn a_body_half_kept_by_a_killed_process_is_not_gone_on_with() {
    let mut w = World::new();
    let order = w.order("PO-1");
    w.ready(order, None);
    let txn = block(&mut w, order, &body(0));
    for _ in 0..4 {
        assert!(w.store.keep_ahead(&txn).unwrap());
    }
    let World { store, folder, now } = w;
    drop(store);
    let mut w = World { store: Store::open(folder.path(), "x").unwrap(), folder, now };
    // The same block, of the same size, with other bytes.
    let txn = block(&mut w, order, &body(9));
    assert!(w.store.keep_ahead(&txn).unwrap());
    let block = apply(&mut w, &txn);
    assert_eq!(w.store.view().block_body(block).unwrap(), Some(body(9)));
    while w.store.maintain(true).unwrap() {}
    assert_eq!(pieces(&w), 11);
    w.verified();
}

#[tokio::test]
async fn the_writer_keeps_a_large_body_beside_other_commits_and_answers_when_it_is_a_block() {
    let mut w = World::new();
    let order = w.order("PO-1");
    w.ready(order, None);
    let large = block(&mut w, order, &body(3));
    let run = w.run("r");
    let others: Vec<Txn> =
        (1..=20).map(|n| Txn { id: TxnId(n.into()), records: vec![w.trigger(run, n)] }).collect();
    let World { store, folder, now } = w;
    let (handle, thread) = spawn(store).unwrap();
    let beside = async {
        for txn in others {
            assert_eq!(handle.commit(txn).await.unwrap(), []);
        }
    };
    let (answers, ()) = tokio::join!(handle.commit(large), beside);
    let [Answer::Block(block)] = answers.unwrap()[..] else { panic!() };
    drop(handle);
    thread.join().unwrap();
    let mut w = World { store: Store::open(folder.path(), "x").unwrap(), folder, now };
    assert_eq!(w.store.view().block_body(block).unwrap(), Some(body(3)));
    assert_eq!(w.store.view().run_items(run).unwrap().triggers, 20);
    assert!(!w.store.maintain(true).unwrap());
    w.verified();
}
