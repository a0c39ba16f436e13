//! The only place that reads clocks.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tamga_domain::time::{Time, Wall};

/// Now on the agent's monotonic clock: nanoseconds since the first call in this process.
pub fn now() -> Time {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(Instant::now);
    Time(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

/// Now by this computer's calendar. A clock set before 1970 gives a negative number; nothing is decided by it.
pub fn wall() -> Wall {
    let ms = |d: std::time::Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => Wall(ms(after)),
        Err(before) => Wall(-ms(before.duration())),
    }
}
