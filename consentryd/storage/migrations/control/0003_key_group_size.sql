-- The smallest group of people that answers to a read key may show.
ALTER TABLE api_key ADD COLUMN min_group_size INTEGER NOT NULL DEFAULT 0;
