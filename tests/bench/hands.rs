//! A person with a scanner at a packing station, as lean as can be: scans what passed a line at an even pace, scans a
//! pre-printed label onto each full box, and takes the time from a scan to its sound.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tamga_domain::sscc::SsccRange;

use crate::load::{Line, wait};

/// Items between the gate and the table.
const BEHIND: usize = 40;
/// From one look at whether the next item is there to the next.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// How long a sound is waited for before a scan counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

pub const TAKEN: u8 = b'+';
pub const CLOSED: u8 = b'!';
pub const REFUSED: u8 = b'-';

#[derive(Clone, Debug, Default)]
pub struct Heard {
    pub taken: u32,
    pub closed: u32,
    pub refused: u32,
    /// Scans without a sound.
    pub unheard: u32,
    /// From the write of a scan to its sound, in microseconds.
    pub sounds_us: Vec<u64>,
}

/// What a person is to do.
pub struct Work {
    /// Takes every `of`-th item of the line, from number `first` on.
    pub first: usize,
    pub of: usize,
    pub items: usize,
    pub capacity: usize,
    /// Labels printed before.
    pub labels: SsccRange,
    pub every: Duration,
}

/// A scanner's socket, for the agent to call.
pub fn scanner() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    (listener.local_addr().unwrap(), listener)
}

/// Begins to work as soon as the agent is there. Ends when all is scanned, or when the sender goes.
pub fn work(listener: TcpListener, line: Arc<Line>, mut work: Work) -> (Sender<()>, JoinHandle<Heard>) {
    let (stop, stopped) = channel();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (mut heard, mut in_box) = (Heard::default(), 0);
        let mut due = Instant::now();
        for n in (work.first..).step_by(work.of).take(work.items) {
            // The item that lies on the table by now.
            while line.passed(n + BEHIND).is_none() {
                if wait(&stopped, Instant::now() + LOOK_AGAIN) {
                    return heard;
                }
                due = due.max(Instant::now());
            }
            if wait(&stopped, due) {
                return heard;
            }
            due += work.every;
            in_box += usize::from(scan(&mut stream, line.passed(n).unwrap(), &mut heard) == Some(TAKEN));
            if in_box == work.capacity {
                let (name, rest) = work.labels.take_next().expect("labels enough");
                (work.labels, in_box) = (rest, 0);
                if wait(&stopped, due) {
                    return heard;
                }
                due += work.every;
                scan(&mut stream, &name.render(), &mut heard);
            }
        }
        heard
    });
    (stop, thread)
}

fn scan(stream: &mut TcpStream, bytes: &[u8], heard: &mut Heard) -> Option<u8> {
    let scan = [bytes, b"\r\n"].concat();
    let started = Instant::now();
    stream.write_all(&scan).unwrap();
    let mut sound = [0];
    match stream.read_exact(&mut sound) {
        Ok(()) => heard.sounds_us.push(u64::try_from(started.elapsed().as_micros()).unwrap()),
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            heard.unheard += 1;
            return None;
        }
        Err(e) => panic!("the scanner's connection: {e}"),
    }
    match sound[0] {
        TAKEN => heard.taken += 1,
        CLOSED => heard.closed += 1,
        REFUSED => heard.refused += 1,
        other => panic!("a sound that is none of the station: {other}"),
    }
    Some(sound[0])
}
