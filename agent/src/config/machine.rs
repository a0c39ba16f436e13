//! Files of this computer: secrets, the data folder, serial ports. Left out when a configuration is checked at a desk.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use super::Config;
use super::raw::Notes;
use super::reader::{ReaderDevice, ReaderLink};
use super::upstream::Upstream;
use crate::disk;

pub fn check(config: &Config, notes: &Notes) {
    data(&config.agent.data, notes);
    witness(&config.agent.witness, &config.agent.data, notes);
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    if crate::witness::machine_hash(&machine).is_none() {
        notes.add(notes.warning("agent.data", "config.no_machine_id"));
    }
    if let Some(Upstream::Xtrace(xtrace)) = &config.upstream
        && !xtrace.api_key_file.as_os_str().is_empty()
    {
        secret(&xtrace.api_key_file, "upstream.xtrace.api_key_file", notes);
        if let Some(ca_file) = &xtrace.ca_file
            && let Err(fault) = std::fs::File::open(ca_file)
        {
            unreadable(ca_file, "upstream.xtrace.ca_file", &fault, notes);
        }
    }
    if let Some((_, password)) = config.broker.as_ref().and_then(|broker| broker.login.as_ref()) {
        secret(password, "broker.password_file", notes);
    }
    for line in &config.lines {
        for reader in &line.readers {
            let ReaderDevice::Text(text) = &reader.device;
            let ReaderLink::Serial { path, .. } = &text.link else {
                continue;
            };
            let key = format!("lines.{}.readers.{}.text.serial", line.name, reader.name);
            serial(path, &key, notes);
        }
    }
    for station in &config.stations {
        let hand = station.layer.as_ref().map(|layer| ("hand", &layer.hand));
        for (place, ReaderDevice::Text(text)) in [("reader", &station.reader)].into_iter().chain(hand) {
            let key = format!("stations.{}.{place}.text", station.name);
            match &text.link {
                ReaderLink::Serial { path, .. } => serial(path, &format!("{key}.serial"), notes),
                ReaderLink::Keyboard { path, .. } => serial(path, &format!("{key}.keyboard"), notes),
                ReaderLink::Connect(_) | ReaderLink::Listen { .. } => {}
            }
        }
    }
}

fn unreadable(path: &Path, key: &str, fault: &io::Error, notes: &Notes) {
    let problem = notes.error(key, "config.file_unreadable").with("path", path.display());
    notes.add(problem.with("fault", fault));
}

/// A secret: there, not empty, and not for everybody's eyes.
fn secret(path: &Path, key: &str, notes: &Notes) {
    let read = std::fs::metadata(path).and_then(|facts| Ok((facts, std::fs::read(path)?)));
    let (facts, bytes) = match read {
        Ok(read) => read,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
            notes.add(notes.error(key, "config.secret_missing").with("path", path.display()));
            return;
        }
        Err(fault) => return unreadable(path, key, &fault, notes),
    };
    if facts.permissions().mode() & 0o007 != 0 {
        let mode = format!("{:04o}", facts.permissions().mode() & 0o7777);
        let problem = notes.error(key, "config.secret_open").with("path", path.display());
        notes.add(problem.with("mode", mode));
    }
    if bytes.trim_ascii().is_empty() {
        notes.add(notes.error(key, "config.secret_empty").with("path", path.display()));
    }
}

fn data(path: &Path, notes: &Notes) {
    if let Ok(bytes) = disk::block_bytes(path)
        && bytes < disk::BLOCK_BYTES_MIN
    {
        let problem = notes.error("agent.data", "config.small_blocks").with("path", path.display());
        notes.add(problem.with("bytes", bytes));
    }
    match std::fs::metadata(path) {
        Ok(facts) if !facts.is_dir() => {
            notes.add(notes.error("agent.data", "config.data_no_folder").with("path", path.display()));
        }
        Ok(_) if in_memory(path) => {
            notes.add(notes.warning("agent.data", "config.data_in_memory").with("path", path.display()));
        }
        Ok(_) => {}
        Err(_) => notes.add(notes.warning("agent.data", "config.data_missing").with("path", path.display())),
    }
}

/// The folder itself is made by the agent; a link may lead into the data folder all the same.
fn witness(path: &Path, data: &Path, notes: &Notes) {
    match std::fs::metadata(path) {
        Ok(facts) if !facts.is_dir() => {
            notes.add(notes.error("agent.witness", "config.data_no_folder").with("path", path.display()));
        }
        Ok(_) if in_memory(path) => {
            notes
                .add(notes.warning("agent.witness", "config.witness_in_memory").with("path", path.display()));
        }
        Ok(_) | Err(_) => {}
    }
    if let (Ok(path), Ok(data)) = (path.canonicalize(), data.canonicalize())
        && path.starts_with(&data)
    {
        notes.add(notes.error("agent.witness", "config.witness_in_data").with("path", path.display()));
    }
}

/// Whether the folder lies on a file system that a power cut empties: the mount with the longest path decides.
fn in_memory(path: &Path) -> bool {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let Ok(mounts) = std::fs::read_to_string("/proc/self/mounts") else {
        return false;
    };
    let mut kind = (0, "");
    for mount in mounts.lines() {
        let mut words = mount.split(' ').skip(1);
        let (Some(at), Some(fs)) = (words.next(), words.next()) else {
            continue;
        };
        if path.starts_with(at) && at.len() >= kind.0 {
            kind = (at.len(), fs);
        }
    }
    matches!(kind.1, "tmpfs" | "ramfs")
}

fn serial(path: &Path, key: &str, notes: &Notes) {
    match std::fs::metadata(path) {
        Ok(facts) if !facts.file_type().is_char_device() => {
            notes.add(notes.error(key, "config.serial_no_port").with("path", path.display()));
        }
        Ok(_) => {}
        // A reader may be plugged in later: the line waits for it.
        Err(_) => notes.add(notes.warning(key, "config.serial_missing").with("path", path.display())),
    }
}
