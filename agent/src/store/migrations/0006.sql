-- Packs. What lies in one is codes.pack_no, or packs.parent of the packs in it: one parent at most, by construction.

-- level: 0 group, 1 box, 2 pallet. holds: 0 items, 1 + level of packs. mixing: 0 same run, 1 same product, 2 free.
-- state: 0 open, 1 closed, 2 voided. run and gtin_id: of all that is in it, NULL where that differs.
-- sscc: the 18 digits as a number. labels: asked for with its name.
CREATE TABLE packs(
    pack_no INTEGER PRIMARY KEY,
    station INTEGER NOT NULL,
    level INTEGER NOT NULL,
    holds INTEGER NOT NULL,
    capacity INTEGER NOT NULL CHECK(capacity > 0),
    mixing INTEGER NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,
    sscc INTEGER,
    content INTEGER NOT NULL DEFAULT 0,
    run INTEGER REFERENCES runs,
    gtin_id INTEGER REFERENCES gtins,
    parent INTEGER REFERENCES packs,
    labels INTEGER NOT NULL DEFAULT 0,
    opened_at INTEGER NOT NULL,
    CONSTRAINT holds_no_more_than_it_can CHECK(content BETWEEN 0 AND capacity),
    CONSTRAINT closed_is_named_and_not_empty CHECK(state <> 1 OR (sscc IS NOT NULL AND content > 0)),
    CONSTRAINT voided_is_empty CHECK(state <> 2 OR content = 0),
    CONSTRAINT only_closed_packs_lie_in_packs CHECK(parent IS NULL OR state = 1)
) STRICT;
CREATE UNIQUE INDEX packs_name ON packs(sscc) WHERE sscc IS NOT NULL;
CREATE UNIQUE INDEX packs_open ON packs(station) WHERE state = 0;
CREATE INDEX packs_parent ON packs(parent) WHERE parent IS NOT NULL;

ALTER TABLE codes ADD COLUMN pack_no INTEGER REFERENCES packs;
CREATE INDEX codes_pack ON codes(pack_no) WHERE pack_no IS NOT NULL;

-- What was in a pack and is not any more: an item (gtin_id, serial) or a pack (child).
CREATE TABLE taken_out(
    id INTEGER PRIMARY KEY,
    pack_no INTEGER NOT NULL REFERENCES packs,
    gtin_id INTEGER REFERENCES gtins,
    serial BLOB,
    child INTEGER REFERENCES packs,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX taken_out_of ON taken_out(pack_no);
CREATE INDEX taken_out_code ON taken_out(gtin_id, serial) WHERE serial IS NOT NULL;

-- SSCCs that are this agent's: serial references next .. ends of an extension digit and company prefix, of which first ..
-- next are used up. The last row is the one in use. unsure: what a restore lost may have used some.
CREATE TABLE sscc_ranges(
    range_no INTEGER PRIMARY KEY,
    extension INTEGER NOT NULL,
    prefix TEXT NOT NULL,
    first INTEGER NOT NULL,
    next INTEGER NOT NULL,
    ends INTEGER NOT NULL,
    unsure INTEGER NOT NULL DEFAULT 0,
    CHECK(first <= next AND next <= ends)
) STRICT;

-- A person said that the goods were made before their codes were ordered. Of runs that are open now nobody knows: they may
-- take codes of later orders, as before.
ALTER TABLE runs ADD COLUMN before_order INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET before_order = 1 WHERE state <> 3;
