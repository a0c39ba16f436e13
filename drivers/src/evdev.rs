//! An input device of Linux as a stream of its events, held alone so that its keys reach nobody else.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

/// `_IOW('E', 0x90, int)` of `linux/input.h`: whoever holds a device alone is the only one who hears of it.
const EVIOCGRAB: libc::c_ulong = 0x4004_4590;

/// A device under `/dev/input`.
#[derive(Debug)]
pub(crate) struct InputDevice(AsyncFd<File>);

impl InputDevice {
    /// Opens a device; with `grab` it is held alone, which what is no input device refuses.
    pub(crate) fn open(path: &str, grab: bool) -> io::Result<InputDevice> {
        let flags = libc::O_NONBLOCK | libc::O_CLOEXEC;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        if grab {
            hold(&file)?;
        }
        Ok(InputDevice(watched(file)?))
    }
}

#[allow(unsafe_code)] // tokio asks for a promise about the descriptor
fn watched(file: File) -> io::Result<AsyncFd<File>> {
    // SAFETY: a File gives the same descriptor for as long as it lives, and closes it at its end.
    unsafe { AsyncFd::register_with_interest(file, Interest::READABLE) }.map_err(io::Error::from)
}

#[allow(unsafe_code)] // ioctl has no safe face in std
fn hold(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open for the whole call, and the request takes a number and no pointer.
    match unsafe { libc::ioctl(file.as_raw_fd(), EVIOCGRAB as _, 1) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

impl AsyncRead for InputDevice {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(cx))?;
            let room = buf.initialize_unfilled();
            match ready.try_io(|device| device.get_ref().read(room)) {
                Ok(read) => {
                    buf.advance(read?);
                    return Poll::Ready(Ok(()));
                }
                Err(_would_block) => {}
            }
        }
    }
}

/// A keyboard is not spoken to: what is written is gone.
impl AsyncWrite for InputDevice {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_input_device_is_not_held_alone() {
        let refused = InputDevice::open("/dev/null", true).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::ENOTTY));
        assert!(InputDevice::open("/nowhere", true).is_err());
    }
}
