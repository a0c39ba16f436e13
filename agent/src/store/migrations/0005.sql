-- All codes ever issued out of the pools; compared with the witness outside the data folder. The sum counts codes of the
-- stock too, which does no harm: from here on it only has to grow.
INSERT INTO meta(key, value) SELECT 'issued_total', CAST(ifnull(sum(last_issue), 0) AS TEXT) FROM runs;
