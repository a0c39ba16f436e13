-- That a pack is to be closed with fewer children than it can hold, by whom and why: durable before it gets its name.
ALTER TABLE packs ADD COLUMN short_by TEXT;
ALTER TABLE packs ADD COLUMN short_why TEXT;
-- Named and not full: somebody wanted it so, and who was not written down.
UPDATE packs SET short_by = '', short_why = '' WHERE state = 0 AND sscc IS NOT NULL AND content < capacity;

-- What upstream knows of a pack: 0 nothing, 1 aggregation open, 2 aggregated, 3 disaggregation open, 4 disaggregated,
-- 5 refused.
ALTER TABLE packs ADD COLUMN told INTEGER NOT NULL DEFAULT 0 CHECK(told BETWEEN 0 AND 5);
