-- A group pack is named by the state code that it bears (name_gtin, name_serial), other packs by an SSCC.
ALTER TABLE packs ADD COLUMN name_gtin INTEGER REFERENCES gtins;
ALTER TABLE packs ADD COLUMN name_serial BLOB;
ALTER TABLE packs DROP CONSTRAINT closed_is_named_and_not_empty;
ALTER TABLE packs ADD CONSTRAINT closed_is_named_and_not_empty
    CHECK(state <> 1 OR ((sscc IS NOT NULL OR name_serial IS NOT NULL) AND content > 0));
ALTER TABLE packs ADD CONSTRAINT has_one_name_at_most
    CHECK((sscc IS NULL OR name_serial IS NULL) AND (name_gtin IS NULL) = (name_serial IS NULL));
CREATE UNIQUE INDEX packs_code ON packs(name_gtin, name_serial) WHERE name_serial IS NOT NULL;
