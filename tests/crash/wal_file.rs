//! SQLite's WAL as its file format document has it, read without SQLite: which commits are whole, and what the database
//! is after each of them. (https://www.sqlite.org/fileformat2.html#walformat)

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
pub const PAGE: usize = 4096;
const FRAME: usize = FRAME_HEADER + PAGE;

/// The commits of one file that are whole, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wal {
    /// Told from one beginning of the WAL to the next.
    pub salts: Vec<u8>,
    pub commits: Vec<Commit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Bytes of the file up to here hold it.
    pub end: usize,
    /// Pages of the database after it.
    pages: usize,
}

/// Reads as far as the checksums hold.
pub fn read(bytes: &[u8]) -> Wal {
    let mut wal = Wal::default();
    if bytes.len() < HEADER {
        return wal;
    }
    let big_endian = match word(bytes, 0) {
        0x377F_0682 => false,
        0x377F_0683 => true,
        _ => return wal,
    };
    let mut sum = checksum(big_endian, &bytes[..24], (0, 0));
    if sum != (word(bytes, 24), word(bytes, 28)) || word(bytes, 8) as usize != PAGE {
        return wal;
    }
    wal.salts = bytes[16..24].to_vec();
    let mut at = HEADER;
    while let Some(frame) = bytes.get(at..at + FRAME) {
        sum = checksum(big_endian, &frame[..8], sum);
        sum = checksum(big_endian, &frame[FRAME_HEADER..], sum);
        if frame[8..16] != wal.salts[..] || sum != (word(frame, 16), word(frame, 20)) || word(frame, 0) == 0 {
            break;
        }
        at += FRAME;
        let pages = word(frame, 4) as usize;
        if pages > 0 {
            wal.commits.push(Commit { end: at, pages });
        }
    }
    wal
}

impl Wal {
    /// Where the last whole commit ends; 0 when there is none.
    pub fn end(&self) -> usize {
        self.commits.last().map_or(0, |c| c.end)
    }

    /// How many commits lie before a cut.
    pub fn before(&self, cut: usize) -> usize {
        self.commits.iter().filter(|c| c.end <= cut).count()
    }
}

/// The database with all whole commits of the WAL in it.
pub fn image(database: &[u8], wal_bytes: &[u8], wal: &Wal) -> Vec<u8> {
    let mut image = database.to_vec();
    let Some(last) = wal.commits.last() else { return image };
    for at in (HEADER..last.end).step_by(FRAME) {
        let page_at = (word(wal_bytes, at) as usize - 1) * PAGE;
        if image.len() < page_at + PAGE {
            image.resize(page_at + PAGE, 0);
        }
        image[page_at..page_at + PAGE].copy_from_slice(&wal_bytes[at + FRAME_HEADER..at + FRAME]);
    }
    image.truncate(last.pages * PAGE);
    image
}

/// Bytes of the WAL that are in the database already, or may be half: a checkpoint syncs them before it begins, so that
/// no power cut loses them. From the wal-index (`WalCkptInfo.nBackfillAttempted`), which is in this machine's order.
pub fn moved(index: &[u8]) -> usize {
    const ATTEMPTED: usize = 128;
    let word = index.get(ATTEMPTED..ATTEMPTED + 4).map(|b| u32::from_ne_bytes([b[0], b[1], b[2], b[3]]));
    match word {
        Some(frames) if frames > 0 => HEADER + frames as usize * FRAME,
        _ => HEADER,
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn checksum(big_endian: bool, bytes: &[u8], from: (u32, u32)) -> (u32, u32) {
    let (mut a, mut b) = from;
    for pair in bytes.chunks_exact(8) {
        let number = |at: usize| if big_endian { word(pair, at) } else { word(pair, at).swap_bytes() };
        a = a.wrapping_add(number(0)).wrapping_add(b);
        b = b.wrapping_add(number(4)).wrapping_add(a);
    }
    (a, b)
}
