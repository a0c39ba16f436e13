//! Every way in which database and witness can disagree, and the texts of the files.

use super::*;

fn claim() -> Claim {
    Claim {
        agent: "0a1b2c3d".into(),
        database: FileId { device: 1, inode: 2, fs: 3 },
        epoch: Some("e1".into()),
        issued: 1500,
        copy: false,
        replaced: None,
        settling: false,
    }
}

fn witness() -> Witness {
    Witness {
        agent: "0a1b2c3d".into(),
        machine: None,
        database: FileId { device: 1, inode: 2, fs: 3 },
        epoch: Some("e1".into()),
        next: None,
        floor: 1000,
        lease: 2000,
        ended: None,
    }
}

fn says(claim: &Claim, witness: &Witness, pulse: Option<u64>) -> Result<(), Doubt> {
    let pulse = pulse.map(|issued| Pulse { epoch: "e1".into(), issued });
    judge(claim, &Found::Whole(witness.clone()), pulse.as_ref())
}

#[test]
fn a_database_that_ran_on_since_the_last_lease_is_proven() {
    assert_eq!(says(&claim(), &witness(), None), Ok(()));
    assert_eq!(says(&claim(), &witness(), Some(1500)), Ok(()));
    // The commit for which the lease was renewed was lost.
    let begun = Witness { floor: 1500, lease: 2501, ..witness() };
    assert_eq!(says(&claim(), &begun, Some(1500)), Ok(()));
}

#[test]
fn each_way_to_disagree_has_its_name() {
    let cases: [(&str, Claim, Witness, Option<u64>, Doubt); 11] = [
        ("a backup", Claim { copy: true, ..claim() }, witness(), None, Doubt::Restored),
        ("half settled", Claim { settling: true, ..claim() }, witness(), None, Doubt::Settling),
        (
            "another agent's",
            claim(),
            Witness { agent: "ffffffff".into(), ..witness() },
            None,
            Doubt::OtherAgent,
        ),
        (
            "a copied folder",
            Claim { database: FileId { device: 1, inode: 9, fs: 3 }, ..claim() },
            witness(),
            None,
            Doubt::OtherFile,
        ),
        (
            "a copy on another disk",
            Claim { database: FileId { device: 9, inode: 2, fs: 9 }, ..claim() },
            witness(),
            None,
            Doubt::OtherFile,
        ),
        ("an older start", Claim { epoch: Some("e0".into()), ..claim() }, witness(), None, Doubt::OtherEpoch),
        ("from before the witness", Claim { epoch: None, ..claim() }, witness(), None, Doubt::OtherEpoch),
        ("below the floor", Claim { issued: 999, ..claim() }, witness(), None, Doubt::Behind),
        ("below what was noted", claim(), witness(), Some(1501), Doubt::Behind),
        (
            "below a clean end",
            Claim { issued: 1500, ..claim() },
            Witness { ended: Some(1501), ..witness() },
            None,
            Doubt::Behind,
        ),
        ("beyond the lease", Claim { issued: 2001, ..claim() }, witness(), None, Doubt::WitnessOld),
    ];
    for (name, claim, witness, pulse, doubt) in cases {
        assert_eq!(says(&claim, &witness, pulse), Err(doubt), "{name}");
    }
    assert_eq!(judge(&claim(), &Found::Missing, None), Err(Doubt::NoWitness));
    assert_eq!(judge(&claim(), &Found::Damaged, None), Err(Doubt::Damaged));
    let first = Claim { epoch: None, issued: 7, ..claim() };
    assert_eq!(judge(&first, &Found::Missing, None), Ok(()), "its first start");
    assert_eq!(judge(&first, &Found::Damaged, None), Err(Doubt::Damaged));
}

#[test]
fn a_start_cut_short_at_any_step_is_gone_on_with() {
    let ended = Witness { ended: Some(1500), ..witness() };
    let begun = Witness { next: Some("e2".into()), ..ended };
    assert_eq!(says(&claim(), &begun, None), Ok(()), "before the database had it");
    let had = Claim { epoch: Some("e2".into()), ..claim() };
    assert_eq!(says(&had, &begun, None), Ok(()), "before the witness had it");
    assert_eq!(says(&Claim { issued: 1499, ..had.clone() }, &begun, None), Err(Doubt::Behind));
    assert_eq!(says(&Claim { issued: 1501, ..had }, &begun, None), Err(Doubt::WitnessOld));
    // The very first start.
    let first = Claim { epoch: None, issued: 0, ..claim() };
    let begun = Witness { epoch: None, next: Some("e1".into()), floor: 0, lease: 1000, ..witness() };
    assert_eq!(says(&first, &begun, None), Ok(()));
    assert_eq!(says(&Claim { epoch: Some("e1".into()), ..first }, &begun, None), Ok(()));
}

#[test]
fn only_a_clean_end_of_this_very_folder_proves_that_nothing_was_issued() {
    let proves = |claim: &Claim, witness: Witness, pulse: Option<u64>| {
        let pulse = pulse.map(|issued| Pulse { epoch: "e1".into(), issued });
        proves_nothing_issued_since(claim, &Found::Whole(witness), pulse.as_ref())
    };
    let ended = Witness { ended: Some(1500), ..witness() };
    let elsewhere = FileId { device: 1, inode: 9, fs: 3 };
    let restored = Claim { copy: true, database: elsewhere, replaced: Some(witness().database), ..claim() };
    assert!(proves(&restored, ended.clone(), Some(1500)));
    assert!(!proves(&Claim { replaced: None, ..restored.clone() }, ended.clone(), None), "a copied folder");
    assert!(!proves(&restored, witness(), None), "no clean end");
    assert!(!proves(&Claim { issued: 1499, ..restored.clone() }, ended.clone(), None));
    assert!(!proves(&Claim { epoch: Some("e0".into()), ..restored.clone() }, ended.clone(), None));
    assert!(!proves(&restored, Witness { next: Some("e2".into()), ..ended.clone() }, None));
    assert!(!proves(&restored, ended, Some(1501)));
    assert!(!proves_nothing_issued_since(&restored, &Found::Missing, None));
}

#[test]
fn the_files_are_read_as_written_and_no_byte_may_differ() {
    let all = Witness { machine: Some("m".into()), next: Some("e2".into()), ended: Some(17), ..witness() };
    for one in [witness(), all, Witness { epoch: None, ..witness() }] {
        let text = one.render();
        assert_eq!(Witness::parse(text.as_bytes()), Some(one), "{text}");
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            assert_eq!(Witness::parse(&bytes), None, "byte {at} of\n{text}");
            assert_eq!(Witness::parse(&text.as_bytes()[..at]), None, "the first {at} bytes of\n{text}");
        }
    }
    let pulse = Pulse { epoch: "e1".into(), issued: 42 };
    let text = pulse.render();
    assert_eq!(Pulse::parse(text.as_bytes()), Some(pulse.clone()));
    assert_eq!(Pulse { issued: u64::MAX, ..pulse }.render().len(), text.len(), "always of one length");
    assert_eq!(Pulse::parse(&text.as_bytes()[..text.len() - 1]), None);
    assert_eq!(FileId::parse("1:2"), None);
}

#[test]
fn a_machine_is_known_by_a_hash_of_its_id() {
    let one = machine_hash("0123456789abcdef0123456789abcdef\n").unwrap();
    assert_eq!((one.len(), &one[12..13]), (32, "4"), "{one}");
    assert_ne!(one, machine_hash("0123456789abcdef0123456789abcdee").unwrap());
    assert!(!one.contains("01234567"));
    assert_eq!(machine_hash("uninitialized"), None);
    assert_eq!(machine_hash(""), None);
}

#[test]
fn every_doubt_has_its_text() {
    for doubt in Doubt::ALL {
        assert!(crate::words::has(&format!("doubt.{}", doubt.key())), "{doubt:?}");
    }
}
