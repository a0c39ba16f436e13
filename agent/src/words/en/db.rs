//! `tamga db`, and why a database is in doubt: what happened, what to do.

#[rustfmt::skip]
pub const WORDS: super::super::Table = &[
    ("db.in_use", "{path} is in use: the agent runs. Stop it first: systemctl stop tamga"),
    ("db.look", "Then look at the line. The database does not know what was printed, read and passed after the backup was made: take off what is on belt and web, scan it (tamga codes show), and close the open runs (tamga run close LINE --clear)."),
    ("db.no_database", "There is no database in {path}. Check [agent] data, and --config."),
    ("db.no_witness", "The witness can be neither read nor written: {why}. See that its folder ([agent] witness) is there, has room and belongs to the user of the agent."),
    ("db.nothing_to_settle", "Nothing is in doubt: the database and its witness agree. Nothing was changed."),
    ("db.open_run", "Open: run {run} of line {line}; codes in doubt: {in_doubt}, pass unknown: {unknown}."),
    ("db.other_user", "{path} belongs to {user}: what another user writes there, the agent could not use. Ask as that user: runuser -u {user} -- tamga db …"),
    ("db.settled_person", "Settled on your word that nothing was restored or copied: no code was spoiled. The audit log keeps who said so. Start the agent."),
    ("db.settled_spoiled", "Settled: {count} pooled codes were spoiled as \"restored\", since they may have been printed. Start the agent: it orders or takes new codes."),
    ("db.settled_witness", "Settled: the witness proves that no code was issued since the backup was made. No code was spoiled. Start the agent."),
    ("db.settling", "{left} codes to go"),
    ("db.why", "In doubt: {why}"),
    ("doubt.behind", "Codes were issued that this database does not know of: an older copy of it was put in its place. No code is issued, since what is pooled may have been printed. Stop the agent, then: tamga db settle (the pooled codes are spoiled), or put the newest database back."),
    ("doubt.damaged", "The witness is damaged, so nothing proves that this database is not an older copy. No code is issued. If nothing was restored or copied: stop the agent, then tamga db settle --nothing-restored; otherwise tamga db settle (the pooled codes are spoiled)."),
    ("doubt.no_witness", "The witness of this database is gone, so nothing proves that it is not an older copy. No code is issued. Was only [agent] witness changed? Name the right folder. If nothing was restored or copied: stop the agent, then tamga db settle --nothing-restored; otherwise tamga db settle (the pooled codes are spoiled)."),
    ("doubt.other_agent", "The witness speaks of another agent. No code is issued. Check [agent] data and witness; if they are right: stop the agent, then tamga db settle (the pooled codes are spoiled)."),
    ("doubt.other_epoch", "This database is of another start of the agent than the last one: an older copy was put in its place, or a copy of it ran elsewhere. No code is issued, since what is pooled may have been printed. Stop the agent, then: tamga db settle (the pooled codes are spoiled), or put the newest database back."),
    ("doubt.other_file", "This database is another file than the one that the witness saw: a copy of the data folder, or the folder was moved to another disk. No code is issued. If the original will never run again and nothing was restored: stop the agent, then tamga db settle --nothing-restored; otherwise tamga db settle (the pooled codes are spoiled), or delete the copy."),
    ("doubt.other_machine", "This database was made on another machine."),
    ("doubt.restored", "A backup was put in the place of the database. No code is issued, since what is pooled may have been printed after the backup was made. Stop the agent, then: tamga db settle (the pooled codes are spoiled, unless the witness proves that none was issued since)."),
    ("doubt.settling", "Settling the database was begun and not finished. No code is issued. Stop the agent, then again: tamga db settle"),
    ("doubt.witness_old", "The database has issued more codes than its witness allowed: an older copy of the witness was put in its place. No code is issued. If the database was not restored: stop the agent, then tamga db settle --nothing-restored; otherwise tamga db settle (the pooled codes are spoiled)."),
];
