-- Documents of packs for upstream. kind: 0 aggregation, 1 disaggregation, 2 withdrawal. state: as of reports. moment: what it
-- carries. lot: of which refused document, 0 none. open: pieces without an end; taken: those in effect.
CREATE TABLE documents(
    document_no INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,
    why TEXT NOT NULL DEFAULT '',
    upstream_id TEXT,
    moment INTEGER NOT NULL,
    lot INTEGER NOT NULL DEFAULT 0,
    pieces INTEGER NOT NULL DEFAULT 0,
    codes INTEGER NOT NULL DEFAULT 0,
    groups INTEGER NOT NULL DEFAULT 0,
    open INTEGER NOT NULL DEFAULT 0 CHECK(open >= 0),
    taken INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    drafted_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    CONSTRAINT ends_when_all_of_it_has_ended CHECK(state < 4 OR open = 0)
) STRICT;
CREATE INDEX documents_open ON documents(document_no) WHERE state < 4;

-- Applied codes whose items are scrapped. told: 0 nothing, 1 its document is open, 2 written off, 5 refused.
CREATE TABLE write_offs(
    id INTEGER PRIMARY KEY,
    gtin_id INTEGER NOT NULL REFERENCES gtins,
    serial BLOB NOT NULL,
    reason TEXT NOT NULL,
    who TEXT NOT NULL,
    at INTEGER NOT NULL,
    told INTEGER NOT NULL DEFAULT 0,
    lot INTEGER NOT NULL DEFAULT 0,
    UNIQUE(gtin_id, serial)
) STRICT;
INSERT INTO write_offs(gtin_id, serial, reason, who, at) SELECT gtin_id, serial, why, who, at FROM to_write_off;
DROP TABLE to_write_off;
CREATE INDEX write_offs_wait ON write_offs(id) WHERE told = 0;

-- ended: 0 open, 1 in effect, 2 refused, 3 free for another document. outs: what was taken out of packs (taken_out.id) up to
-- here was in none of them any more when the piece was put in.
CREATE TABLE document_pieces(
    document_no INTEGER NOT NULL REFERENCES documents,
    piece INTEGER NOT NULL,
    pack_no INTEGER REFERENCES packs,
    write_off INTEGER REFERENCES write_offs,
    ended INTEGER NOT NULL DEFAULT 0,
    why TEXT NOT NULL DEFAULT '',
    outs INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY(document_no, piece),
    CHECK((pack_no IS NULL) <> (write_off IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX document_pieces_pack ON document_pieces(pack_no) WHERE pack_no IS NOT NULL;
CREATE INDEX document_pieces_write_off ON document_pieces(write_off) WHERE write_off IS NOT NULL;

-- What waits to be told. What is noted of it: its lot, and what it waited for when it was looked at: an item (run, pass), a
-- pack in it, or a pack that some of it lies in upstream.
CREATE INDEX packs_to_aggregate ON packs(pack_no) WHERE state = 1 AND told = 0 AND agent IS NULL;
CREATE INDEX packs_refused ON packs(pack_no) WHERE told = 5 AND agent IS NULL;
CREATE INDEX packs_to_take_apart ON packs(pack_no) WHERE state = 2 AND told = 2 AND agent IS NULL;
CREATE TABLE telling(
    pack_no INTEGER PRIMARY KEY REFERENCES packs,
    lot INTEGER NOT NULL DEFAULT 0,
    on_run INTEGER,
    on_pass INTEGER,
    on_child INTEGER,
    on_former INTEGER
) STRICT;
CREATE INDEX taken_out_pack ON taken_out(child) WHERE child IS NOT NULL;
