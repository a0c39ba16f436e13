-- Agents of a plant tell each other of their packs.

-- agent: whose pack it is; NULL: ours. letter: the newest letter of ours about it. stream, rev: the newest letter of its
-- agent that is in this row. gone: its agent voided it while it lies in a pack of ours.
ALTER TABLE packs ADD COLUMN agent INTEGER;
ALTER TABLE packs ADD COLUMN letter INTEGER NOT NULL DEFAULT 0;
ALTER TABLE packs ADD COLUMN stream INTEGER NOT NULL DEFAULT 0;
ALTER TABLE packs ADD COLUMN rev INTEGER NOT NULL DEFAULT 0;
ALTER TABLE packs ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;

-- What lies in packs of other agents: an item (gtin_id, serial) or a pack (child, an SSCC).
CREATE TABLE foreign_content(
    pack_no INTEGER NOT NULL REFERENCES packs,
    gtin_id INTEGER REFERENCES gtins,
    serial BLOB,
    child INTEGER
) STRICT;
CREATE INDEX foreign_content_of ON foreign_content(pack_no);
CREATE INDEX foreign_content_code ON foreign_content(gtin_id, serial) WHERE serial IS NOT NULL;

-- Who says that the pack of this name lies in one of theirs: another agent of one of ours, or one of its own.
CREATE TABLE claims(
    sscc INTEGER NOT NULL,
    agent INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    lies INTEGER NOT NULL,
    parent INTEGER,
    PRIMARY KEY(sscc, agent)
) STRICT, WITHOUT ROWID;

-- Our stream; one row. handed: the broker has acknowledged all letters up to it.
CREATE TABLE share(
    one INTEGER PRIMARY KEY CHECK(one = 1),
    is_on INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    handed INTEGER NOT NULL
) STRICT;
INSERT INTO share VALUES(1, 0, 0, 0);

-- Our letters: the changes of packs that others are told, in order and never deleted. What a letter says is what the pack
-- is when it is sent.
CREATE TABLE letters(
    seq INTEGER PRIMARY KEY,
    pack_no INTEGER NOT NULL REFERENCES packs
) STRICT;

-- Whoever changes a closed pack, and however: the letter is written in the same transaction and cannot be forgotten. Of
-- other agents' packs only where they lie is ours to tell. Group packs are told as what lies in their boxes.
CREATE TRIGGER packs_letter AFTER UPDATE OF state, content, parent, told ON packs
WHEN (OLD.state = 1 OR NEW.state = 1) AND NEW.sscc IS NOT NULL AND (NEW.agent IS NULL OR OLD.parent IS NOT NEW.parent)
    AND (SELECT is_on FROM share)
BEGIN
    INSERT INTO letters(pack_no) VALUES(NEW.pack_no);
    UPDATE packs SET letter = (SELECT max(seq) FROM letters) WHERE pack_no = NEW.pack_no;
END;

-- How far the streams of other agents have come here.
CREATE TABLE heard(
    agent INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    mark INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;
