-- Declared days, the moment of production that a report carries, and an order's end.

-- runs.production and runs.expiry are days since 1970 from here on. Plain dates were kept as their midnight by UTC.
UPDATE runs SET production = (production - ((production % 86400000 + 86400000) % 86400000)) / 86400000,
    expiry = (expiry - ((expiry % 86400000 + 86400000) % 86400000)) / 86400000;

-- Fixed when the report is drafted. Reports drafted before this migration carried the first moment of the day.
ALTER TABLE reports ADD COLUMN production INTEGER NOT NULL DEFAULT 0;
UPDATE reports SET production = (SELECT r.production * 86400000 FROM runs r WHERE r.run = reports.run);

-- When upstream made the order, by its own clock; when the order was accepted here, where it does not say.
ALTER TABLE orders ADD COLUMN ordered_at INTEGER;
UPDATE orders SET ordered_at = (SELECT min(c.at) FROM changes c
    WHERE c.subject = 2 AND c.no = orders.order_no AND c.state = 3);

-- An order of the cabinet may have several products, each assigned by itself; a refused one may be assigned again (6).
DROP INDEX orders_upstream;
CREATE UNIQUE INDEX orders_upstream ON orders(upstream_id, gtin_id) WHERE upstream_id IS NOT NULL AND state <> 6;

-- Which runs had codes of a block: asked before an order is closed.
CREATE INDEX run_blocks_of ON run_blocks(block_no);
