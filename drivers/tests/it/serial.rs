//! A serial line over a pty: opened by its path, unplugged, plugged in again.

use std::time::Duration;

use tamga_drivers::transport::{SerialLine, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_serial::{SerialPort, SerialStream};

use crate::shell::{Running, soon};

const LONG: Duration = Duration::from_secs(30);

/// A pty, and a symbolic link to it like those of udev, which survives replugging.
fn plugged(link: &std::path::Path) -> SerialStream {
    let (device, mut slave) = SerialStream::pair().unwrap();
    slave.set_exclusive(false).unwrap();
    let name = slave.name().unwrap();
    let _ = std::fs::remove_file(link);
    std::os::unix::fs::symlink(name, link).unwrap();
    device
}

#[tokio::test]
async fn a_line_is_read_written_unplugged_and_plugged_in_again() {
    let link = std::env::temp_dir().join(format!("tamga-serial-{}", std::process::id()));
    let line = SerialLine::of_8n1(link.to_str().unwrap(), 9600);
    let mut device = plugged(&link);
    let mut shell = Running::start(Transport::Serial(line), LONG);
    for _ in 0..2 {
        shell.expect(&["connected", "tick"]).await;
        let mut hello = [0; 6];
        soon(device.read_exact(&mut hello)).await.unwrap();
        assert_eq!(&hello, b"hello\n");
        device.write_all(b"code\r\n").await.unwrap();
        let mut heard = String::new();
        while heard.len() < 6 {
            heard += &shell.event().await;
        }
        assert_eq!(heard, "code\r\n");
        shell.commands.send(b"T".to_vec()).await.unwrap();
        assert_eq!(soon(device.read_u8()).await.unwrap(), b'T');
        // Unplugged: reads give nothing for ever, which is the end, not a pause.
        drop(device);
        shell.expect(&["disconnected"]).await;
        device = plugged(&link);
    }
    drop(shell.commands);
    std::fs::remove_file(&link).unwrap();
}
