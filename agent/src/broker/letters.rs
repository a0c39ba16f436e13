//! Letters and marks as bytes: JSON, one message each.
//!
//! What comes from a broker is anybody's who may speak there: bounded by the link, checked here, never trusted in length
//! or in form. A letter that cannot be read is told, and its stream stands until it can be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tamga_domain::code::{Identity, Serial};
use tamga_domain::gs1::Gtin;
use tamga_domain::ids::{AgentId, RunId};
use tamga_domain::pack::{Holds, Level, PackName, Told};
use tamga_domain::share::receiver::Word;
use tamga_domain::share::{Claim, Content, Letter, Mark, News, Notice};
use tamga_domain::sscc::Sscc;
use tamga_domain::time::Wall;

/// The longest message in either direction: a pack of 1,500 items, each by product and serial, with room.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Children of the largest pack that any state system takes.
const CHILDREN_MAX: usize = 1_500;

/// The topic of an agent's letters.
pub fn letters_topic(sender: AgentId) -> String {
    format!("tamga/1/letters/{sender}")
}

/// The topic of what a hearer says of a sender's stream; all hearers where none is named.
pub fn marks_topic(sender: AgentId, hearer: Option<AgentId>) -> String {
    match hearer {
        Some(hearer) => format!("tamga/1/marks/{sender}/{hearer}"),
        None => format!("tamga/1/marks/{sender}/+"),
    }
}

/// What a message is, by its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    Letters(AgentId),
    Marks { sender: AgentId, hearer: AgentId },
}

impl Topic {
    pub fn parse(topic: &str) -> Option<Topic> {
        let mut parts = topic.strip_prefix("tamga/1/")?.split('/');
        let kind = parts.next()?;
        let sender = AgentId::parse(parts.next()?)?;
        let topic = match kind {
            "letters" => Topic::Letters(sender),
            "marks" => Topic::Marks { sender, hearer: AgentId::parse(parts.next()?)? },
            _ => return None,
        };
        parts.next().is_none().then_some(topic)
    }
}

#[derive(Serialize, Deserialize)]
struct LetterBody {
    stream: u64,
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pack: Option<PackBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<ClaimBody>,
}

#[derive(Serialize, Deserialize)]
struct PackBody {
    name: String,
    rev: u64,
    level: String,
    holds: String,
    voided: bool,
    /// Serials by product: of items, or of group packs, by what the pack holds.
    items: BTreeMap<String, Vec<String>>,
    /// SSCCs.
    packs: Vec<String>,
    gtin: Option<String>,
    run: Option<u32>,
    told: String,
    lies: bool,
    closed_at_ms: i64,
}

#[derive(Serialize, Deserialize)]
struct ClaimBody {
    name: String,
    rev: u64,
    lies: bool,
    parent: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct MarkBody {
    stream: u64,
    seq: u64,
    asks: bool,
}

pub fn render(stream: u64, letter: &Letter) -> Vec<u8> {
    let (pack, claim) = match &letter.news {
        News::Pack(notice) => (Some(pack_body(notice)), None),
        News::Lies(claim) => (None, Some(claim_body(claim))),
    };
    bytes(&LetterBody { stream, seq: letter.seq, pack, claim })
}

pub fn render_word(word: &Word) -> Vec<u8> {
    bytes(&MarkBody { stream: word.mark.stream, seq: word.mark.seq, asks: word.asks })
}

fn bytes(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("numbers, texts and lists of them have no form that JSON lacks")
}

fn pack_body(notice: &Notice) -> PackBody {
    let (mut items, mut packs) = (BTreeMap::<String, Vec<String>>::new(), Vec::new());
    let mut put = |code: &Identity| {
        let serial = String::from_utf8_lossy(code.serial.as_bytes()).into_owned();
        items.entry(code.gtin.to_string()).or_default().push(serial);
    };
    match &notice.content {
        Content::Items(all) => all.iter().for_each(put),
        Content::Packs(all) => {
            for name in all {
                match name {
                    PackName::Code(code) => put(code),
                    PackName::Sscc(name) => packs.push(name.to_string()),
                }
            }
        }
    }
    PackBody {
        name: notice.name.to_string(),
        rev: notice.rev,
        level: notice.level.key().to_owned(),
        holds: notice.holds.key().to_owned(),
        voided: notice.voided,
        items,
        packs,
        gtin: notice.gtin.map(|gtin| gtin.to_string()),
        run: notice.run.map(|run| run.0),
        told: notice.told.key().to_owned(),
        lies: notice.lies,
        closed_at_ms: notice.closed_at.0,
    }
}

fn claim_body(claim: &Claim) -> ClaimBody {
    let parent = claim.parent.map(|parent| parent.to_string());
    ClaimBody { name: claim.name.to_string(), rev: claim.rev, lies: claim.lies, parent }
}

/// The stream and the letter; `None`: not one of ours, or of a version that this one does not know.
pub fn parse(body: &[u8]) -> Option<(u64, Letter)> {
    let LetterBody { stream, seq, pack, claim } = serde_json::from_slice(body).ok()?;
    let news = match (pack, claim) {
        (Some(pack), None) => News::Pack(Box::new(notice(pack)?)),
        (None, Some(claim)) => News::Lies(Claim {
            name: sscc(&claim.name)?,
            rev: claim.rev,
            lies: claim.lies,
            parent: claim.parent.map(|parent| sscc(&parent).ok_or(())).transpose().ok()?,
        }),
        (Some(_), Some(_)) | (None, None) => return None,
    };
    Some((stream, Letter { seq, news }))
}

/// Which letter these bytes are, though what they say cannot be read; `None`: not even that.
pub fn place(body: &[u8]) -> Option<Mark> {
    #[derive(Deserialize)]
    struct Place {
        stream: u64,
        seq: u64,
    }
    let Place { stream, seq } = serde_json::from_slice(body).ok()?;
    Some(Mark { stream, seq })
}

/// Where a stream stands, because the letter there cannot be read: until it could be, whatever comes behind it.
#[derive(Clone, Debug, Default)]
pub struct Unreadable(BTreeMap<AgentId, Mark>);

impl Unreadable {
    /// A letter of an agent, whose stream is taken up to `mark`, cannot be read. Whether that is news.
    pub fn came(&mut self, agent: AgentId, mark: Mark, body: &[u8]) -> bool {
        // What does not even say which letter it is, is taken for the next one.
        let place = place(body).unwrap_or(Mark { seq: mark.seq.saturating_add(1), ..mark });
        if is_taken(place, mark) {
            return false;
        }
        let known = self.0.insert(agent, place);
        if let Some(first) = known.filter(|first| is_taken(*first, place)) {
            self.0.insert(agent, first);
        }
        known.is_none()
    }

    /// The stream of an agent is taken up to this letter.
    pub fn on_taken(&mut self, agent: AgentId, mark: Mark) {
        if self.0.get(&agent).is_some_and(|place| is_taken(*place, mark)) {
            self.0.remove(&agent);
        }
    }

    pub fn agents(&self) -> Vec<AgentId> {
        self.0.keys().copied().collect()
    }
}

fn is_taken(place: Mark, mark: Mark) -> bool {
    (place.stream, place.seq) <= (mark.stream, mark.seq)
}

pub fn parse_word(body: &[u8]) -> Option<Word> {
    let MarkBody { stream, seq, asks } = serde_json::from_slice(body).ok()?;
    Some(Word { mark: Mark { stream, seq }, asks })
}

fn notice(body: PackBody) -> Option<Notice> {
    let level = |key: &str| Level::ALL.into_iter().find(|level| level.key() == key);
    let holds = match body.holds.as_str() {
        key if key == Holds::Items.key() => Holds::Items,
        key => Holds::Packs(level(key)?),
    };
    let content = match holds {
        Holds::Items => Content::Items(items(&body.items)?),
        Holds::Packs(_) => {
            let named = body.packs.iter().map(|name| sscc(name).map(PackName::Sscc));
            let coded = items(&body.items)?.into_iter().map(|code| Some(PackName::Code(code)));
            Content::Packs(coded.chain(named).collect::<Option<_>>()?)
        }
    };
    // A pack that is none any more is empty, and another is not.
    if content.len() > CHILDREN_MAX || content.is_empty() != body.voided {
        return None;
    }
    Some(Notice {
        name: sscc(&body.name)?,
        rev: body.rev,
        level: level(&body.level)?,
        holds,
        voided: body.voided,
        content,
        gtin: body.gtin.map(|text| Gtin::parse(text.as_bytes())).transpose().ok()?,
        run: body.run.map(RunId),
        told: Told::ALL.into_iter().find(|told| told.key() == body.told)?,
        lies: body.lies,
        closed_at: Wall(body.closed_at_ms),
    })
}

fn items(by_product: &BTreeMap<String, Vec<String>>) -> Option<Vec<Identity>> {
    let mut items = Vec::new();
    for (gtin, serials) in by_product {
        let gtin = Gtin::parse(gtin.as_bytes()).ok()?;
        for serial in serials {
            items.push(Identity { gtin, serial: Serial::new(serial.as_bytes()).ok()? });
        }
    }
    Some(items)
}

fn sscc(text: &str) -> Option<Sscc> {
    Sscc::parse(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAME: &str = "376104250021234569";
    /// What an agent of this version sends; written down so that the next version reads it too.
    const PACK: &str = r#"{"stream":7,"seq":3,"pack":{"name":"376104250021234569","rev":5,"level":"box","holds":"items","voided":false,"items":{"04780000000014":["!%&'()*+,-./","S2"]},"packs":[],"gtin":"04780000000014","run":7,"told":"aggregated","lies":false,"closed_at_ms":1700000000000}}"#;
    const CLAIM: &str =
        r#"{"stream":7,"seq":4,"claim":{"name":"376104250021234569","rev":4,"lies":true,"parent":null}}"#;
    const MARK: &str = r#"{"stream":7,"seq":4,"asks":true}"#;

    fn boxed() -> Letter {
        let gtin = Gtin::parse(b"04780000000014").unwrap();
        let item = |serial: &str| Identity { gtin, serial: Serial::new(serial.as_bytes()).unwrap() };
        let notice = Notice {
            name: sscc(NAME).unwrap(),
            rev: 5,
            level: Level::Box,
            holds: Holds::Items,
            voided: false,
            content: Content::Items(vec![item("!%&'()*+,-./"), item("S2")]),
            gtin: Some(gtin),
            run: Some(RunId(7)),
            told: Told::Aggregated,
            lies: false,
            closed_at: Wall(1_700_000_000_000),
        };
        Letter { seq: 3, news: News::Pack(Box::new(notice)) }
    }

    #[test]
    fn letters_and_marks_are_these_bytes() {
        let claim = Claim { name: sscc(NAME).unwrap(), rev: 4, lies: true, parent: None };
        let claim = Letter { seq: 4, news: News::Lies(claim) };
        let word = Word { mark: Mark { stream: 7, seq: 4 }, asks: true };
        assert_eq!(String::from_utf8(render(7, &boxed())).unwrap(), PACK);
        assert_eq!(String::from_utf8(render(7, &claim)).unwrap(), CLAIM);
        assert_eq!(String::from_utf8(render_word(&word)).unwrap(), MARK);
        assert_eq!(parse(PACK.as_bytes()), Some((7, boxed())));
        assert_eq!(parse(CLAIM.as_bytes()), Some((7, claim)));
        assert_eq!(parse_word(MARK.as_bytes()), Some(word));
    }

    #[test]
    fn packs_in_a_pack_are_told_by_codes_and_by_numbers() {
        let packs = |codes: &[&str], numbers: &[&str]| {
            let gtin = Gtin::parse(b"04780000000014").unwrap();
            let code = |serial: &&str| Identity { gtin, serial: Serial::new(serial.as_bytes()).unwrap() };
            let codes = codes.iter().map(code).map(PackName::Code);
            codes.chain(numbers.iter().map(|name| PackName::Sscc(sscc(name).unwrap()))).collect()
        };
        for (level, content) in [
            (Level::Group, packs(&["G1", "G2"], &[])),
            (Level::Group, packs(&["G1"], &["376104250021234569"])),
            (Level::Box, packs(&[], &["376104250021234569"])),
        ] {
            let mut letter = boxed();
            let News::Pack(notice) = &mut letter.news else { panic!() };
            (notice.holds, notice.content) = (Holds::Packs(level), Content::Packs(content));
            assert_eq!(parse(&render(7, &letter)), Some((7, letter)));
        }
    }

    #[test]
    fn a_letter_that_cannot_be_read_is_told_until_the_stream_is_behind_it() {
        let (agent, mut unreadable) = (AgentId(7), Unreadable::default());
        let (mark, at) =
            (|seq| Mark { stream: 7, seq }, |seq: u64| format!(r#"{{"stream":7,"seq":{seq},"new":1}}"#));
        assert!(!unreadable.came(agent, mark(3), at(2).as_bytes()), "an old one holds nothing up");
        assert!(unreadable.came(agent, mark(3), at(4).as_bytes()));
        assert!(!unreadable.came(agent, mark(3), at(6).as_bytes()));
        unreadable.on_taken(agent, mark(3));
        assert_eq!(unreadable.agents(), [agent]);
        unreadable.on_taken(agent, mark(4));
        assert_eq!(unreadable.agents(), []);
        assert!(unreadable.came(agent, mark(4), b"\xff"));
        unreadable.on_taken(agent, mark(4));
        assert_eq!(unreadable.agents(), [agent]);
        unreadable.on_taken(agent, Mark { stream: 8, seq: 1 });
        assert_eq!(unreadable.agents(), []);
    }

    #[test]
    fn what_is_no_pack_is_no_letter() {
        let spoilt = [
            PACK.replace("376104250021234569", "376104250021234560"),
            PACK.replace("\"box\"", "\"crate\""),
            PACK.replace("\"voided\":false", "\"voided\":true"),
            PACK.replace("[\"!%&'()*+,-./\",\"S2\"]", "[]"),
            PACK.replace("S2", "S\u{1d}2"),
            PACK.replace("\"seq\":3", "\"seq\":-3"),
            CLAIM.replace("null", "\"1\""),
            format!("{},{}", &PACK[..PACK.len() - 1], &CLAIM[1..]),
            "{}".to_owned(),
        ];
        for text in spoilt {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn topics_name_agents_and_nothing_else() {
        let (a, b) = (AgentId(0x0a1b_2c3d), AgentId(7));
        assert_eq!(Topic::parse(&letters_topic(a)), Some(Topic::Letters(a)));
        assert_eq!(Topic::parse(&marks_topic(a, Some(b))), Some(Topic::Marks { sender: a, hearer: b }));
        for strange in [
            marks_topic(a, None),
            "tamga/1/letters/0A1B2C3D".to_owned(),
            "tamga/2/letters/0a1b2c3d".to_owned(),
            "tamga/1/letters/0a1b2c3d/x".to_owned(),
        ] {
            assert_eq!(Topic::parse(&strange), None, "{strange}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_end_it(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0..300usize) {
            drop(parse(&bytes));
            let _word = parse_word(&bytes);
            drop(parse(&PACK.as_bytes()[..cut.min(PACK.len())]));
        }
    }
}
