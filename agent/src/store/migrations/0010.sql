-- What stayed in a pack whose name became void: open until it has a name of its own that was read on it, and at no station.
ALTER TABLE packs ADD COLUMN follows INTEGER REFERENCES packs;
DROP INDEX packs_open;
CREATE UNIQUE INDEX packs_open ON packs(station) WHERE state = 0 AND follows IS NULL;
CREATE UNIQUE INDEX packs_follows ON packs(follows) WHERE follows IS NOT NULL;

-- What people did to packs that are at no station. key: the caller's own; asked tells two that have the same.
CREATE TABLE reworks(
    rework_no INTEGER PRIMARY KEY,
    key TEXT UNIQUE,
    asked INTEGER NOT NULL,
    what TEXT NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

-- The packs that it changed: 0 under its name, 1 its name is void and another pack follows it, 2 its name is void.
CREATE TABLE rework_packs(
    pack_no INTEGER NOT NULL REFERENCES packs,
    rework_no INTEGER NOT NULL REFERENCES reworks,
    way INTEGER NOT NULL CHECK(way BETWEEN 0 AND 2),
    PRIMARY KEY(pack_no, rework_no)
) STRICT, WITHOUT ROWID;
CREATE INDEX rework_packs_of ON rework_packs(rework_no);

-- Applied codes of items that a person scrapped or took as a sample: upstream has to write them off.
CREATE TABLE to_write_off(
    gtin_id INTEGER NOT NULL REFERENCES gtins,
    serial BLOB NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY(gtin_id, serial)
) STRICT, WITHOUT ROWID;
