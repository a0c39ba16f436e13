//! Which alarms end by themselves, and which by a person's word.

/// Alarms of what happened once: nothing that lasts could end, so a person's word that they have seen it ends them. All
/// others end by themselves, acknowledged or not.
const ALARMS_OF_EVENTS: [&str; 7] = [
    "alarm.codes_refused",
    "alarm.contradicted",
    "alarm.duplicate",
    "alarm.new_database",
    "alarm.order_twice",
    "alarm.pack_elsewhere",
    "alarm.packs_refused",
];

/// Whether an alarm ends when a person has acknowledged it.
pub fn ends_acknowledged(alarm: &str) -> bool {
    ALARMS_OF_EVENTS.contains(&alarm)
}
