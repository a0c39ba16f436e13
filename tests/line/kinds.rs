//! Each kind of line, and each way to a reader, makes a small run whose books are the truth.

use std::path::Path;

use tamga_simulators::model::plant::Kind;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_serial::{SerialPort, SerialStream};

use crate::shift::{Shift, work};
use crate::world::{ReaderLink, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_line_and_reader_makes_a_run_whose_sheet_is_the_truth() {
    let mut listens = Shift::of(Kind::PrePrinted, "the reader calls the agent");
    listens.wanted.reader = ReaderLink::Listen;
    let mut serial = Shift::of(Kind::PrintAndApply, "the reader is on a serial line");
    let link = std::env::temp_dir().join(format!("tamga-line-tty-{}", std::process::id()));
    serial.wanted.reader = ReaderLink::Serial(link.clone());
    work([
        Shift::of(Kind::PrintAndApply, "print and apply"),
        Shift::of(Kind::Print, "print"),
        Shift::of(Kind::PrePrinted, "pre-printed"),
        listens,
        serial,
    ])
    .await;
    std::fs::remove_file(link).unwrap();
}

/// Joins a pty, found under `link` as by udev, to the reader's socket. Dropped, it is unplugged.
pub async fn serial_line(world: &World, link: &Path) -> JoinSet<()> {
    let (mut device, mut slave) = SerialStream::pair().unwrap();
    slave.set_exclusive(false).unwrap();
    drop(std::fs::remove_file(link));
    let name = slave.name().unwrap();
    std::os::unix::fs::symlink(&name, link).unwrap();
    // The line stays open on this side: without it the pty would end whenever the agent is away. The agent locks it,
    // so this must not be a lock of ours.
    let open = std::fs::OpenOptions::new().read(true).write(true).open(name).unwrap();
    drop(slave);
    let mut reader = TcpStream::connect(world.plant.reader_addr().unwrap()).await.unwrap();
    let mut cable = JoinSet::new();
    cable.spawn(async move {
        let _open = open;
        // Ends when either side goes, which is unplugging.
        drop(copy_bidirectional(&mut device, &mut reader).await);
    });
    cable
}
