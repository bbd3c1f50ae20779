-- The site a hold was set for, so that another site's privacy key is not told of it.
ALTER TABLE legal_hold ADD COLUMN site TEXT NOT NULL DEFAULT '';
