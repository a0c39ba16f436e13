//! The connections of a plant, one task each.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Live;
use crate::fault::FaultKind;
use crate::model::modbus::Frames;

/// Raw port of the printer: one connection is served at a time, the next one waits.
pub(super) async fn printer(live: Live, listener: TcpListener) {
    loop {
        let Some(stream) = accept(&listener).await else { continue };
        if live.with(|plant| plant.printers[0].is_up()) {
            live.with(|plant| plant.set_printer_connected(0, true));
            let ended = printer_connection(live.clone(), stream).await;
            tracing::debug!(?ended, "printer connection ended");
            live.with(|plant| plant.set_printer_connected(0, false));
        }
    }
}

async fn printer_connection(mut live: Live, mut stream: TcpStream) -> io::Result<()> {
    let power_losses = live.with(|plant| plant.printers[0].power_losses());
    let mut buffer = vec![0; 4096];
    loop {
        let (up, room, answers) = live.with(|plant| {
            let up = plant.printers[0].is_up() && plant.printers[0].power_losses() == power_losses;
            (up, plant.printers[0].room().min(4096), plant.printer_answers(0))
        });
        if !up {
            return Ok(());
        }
        send(&live, &mut stream, FaultKind::PrinterCut, &answers).await?;
        tokio::select! {
            biased;
            read = stream.read(&mut buffer[..room]), if room > 0 => {
                let chunk = &buffer[..read?];
                if chunk.is_empty() {
                    return Ok(());
                }
                let cut = live.with(|plant| plant.cut(FaultKind::PrinterCut, chunk.len()));
                feed(&mut live, &chunk[..cut.unwrap_or(chunk.len())]).await;
                if cut.is_some() {
                    return Ok(());
                }
            }
            () = live.tick() => {}
        }
    }
}

/// Gives the printer all of `bytes`, waiting for room where it has none.
async fn feed(live: &mut Live, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let (taken, up) = live.with(|plant| (plant.printer_receive(0, bytes), plant.printers[0].is_up()));
        bytes = &bytes[taken..];
        if !up {
            return;
        }
        if !bytes.is_empty() {
            live.tick().await;
        }
    }
}

pub(super) async fn reader_server(live: Live, listener: TcpListener) {
    let mut current = JoinSet::new();
    loop {
        let Some(stream) = accept(&listener).await else { continue };
        current.shutdown().await;
        live.with(|plant| plant.reader.set_connected(true));
        current.spawn(reader_connection(live.clone(), stream));
    }
}

pub(super) async fn reader_client(live: Live, addr: SocketAddr) {
    const RETRY: Duration = Duration::from_millis(250);
    loop {
        match TcpStream::connect(addr).await {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                live.with(|plant| plant.reader.set_connected(true));
                reader_connection(live.clone(), stream).await;
            }
            Err(error) => tracing::debug!(%addr, %error, "nobody listens for the reader"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn reader_connection(mut live: Live, mut stream: TcpStream) {
    let mut ignored = [0; 256];
    loop {
        let output = live.with(|plant| plant.reader.take_output());
        if send(&live, &mut stream, FaultKind::ReaderCut, &output).await.is_err() {
            break;
        }
        tokio::select! {
            biased;
            read = stream.read(&mut ignored) => if !matches!(read, Ok(1..)) { break },
            () = live.tick() => {}
        }
    }
    live.with(|plant| plant.reader.set_connected(false));
}

pub(super) async fn gate(live: Live, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        let Some(stream) = accept(&listener).await else { continue };
        while connections.try_join_next().is_some() {}
        connections.spawn(gate_connection(live.clone(), stream));
    }
}

async fn gate_connection(mut live: Live, mut stream: TcpStream) {
    let mut frames = Frames::default();
    let mut buffer = [0; 1024];
    let boot = live.with(|plant| plant.gate.boot());
    let mut shown = None;
    while live.with(|plant| plant.gate.is_up() && plant.gate.boot() == boot) {
        let read = tokio::select! {
            biased;
            read = stream.read(&mut buffer) => read,
            () = live.tick() => continue,
        };
        let Ok(read @ 1..) = read else { return };
        let cut = live.with(|plant| plant.cut(FaultKind::GateCut, read));
        frames.push(&buffer[..cut.unwrap_or(read)]);
        loop {
            let frame = match frames.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(_not_modbus) => return,
            };
            // Who asks again has had the answer before.
            let heard = shown.take();
            let takes = Duration::from_millis(live.with(|plant| plant.gate.config.answer_ms));
            if !takes.is_zero() {
                tokio::time::sleep(takes).await;
            }
            let answer = live.with(|plant| {
                heard.into_iter().for_each(|tag| plant.gate.heard(tag));
                let answer = plant.gate_request(&frame).filter(|_| plant.gate.boot() == boot);
                shown = answer.as_ref().filter(|_| asks_last_tag(&frame)).map(|_| plant.gate.last_tag());
                answer.unwrap_or_default()
            });
            if send(&live, &mut stream, FaultKind::GateCut, &answer).await.is_err() {
                return;
            }
        }
        if cut.is_some() {
            return;
        }
    }
}

/// The frame reads the registers of the last tag.
fn asks_last_tag(frame: &[u8]) -> bool {
    let word = |at: usize| Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
    match (frame.get(7), word(8), word(10)) {
        (Some(4), Some(first), Some(count)) => first <= 4 && u32::from(first) + u32::from(count) > 5,
        _ => false,
    }
}

/// Sends all bytes, or breaks off somewhere in them where the fault strikes.
async fn send(live: &Live, stream: &mut TcpStream, fault: FaultKind, bytes: &[u8]) -> io::Result<()> {
    match live.with(|plant| plant.cut(fault, bytes.len())) {
        Some(at) => {
            stream.write_all(&bytes[..at]).await?;
            Err(io::Error::from(io::ErrorKind::ConnectionAborted))
        }
        None => stream.write_all(bytes).await,
    }
}

async fn accept(listener: &TcpListener) -> Option<TcpStream> {
    match listener.accept().await {
        Ok((stream, _)) => {
            let _ = stream.set_nodelay(true);
            Some(stream)
        }
        Err(error) => {
            // Out of file handles, most likely: the loop must not spin.
            tracing::warn!(%error, "cannot accept a connection; trying again");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}
