-- Codes are unpacked in the order of their bytes from here on; blocks begun before are gone on with as they came.
ALTER TABLE blocks ADD COLUMN as_received INTEGER NOT NULL DEFAULT 0;
UPDATE blocks SET as_received = 1 WHERE unpacked > 0 AND unpacked < received;
