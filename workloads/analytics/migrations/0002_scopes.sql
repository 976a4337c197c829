-- What is learned of an origin and of a destination, all carriers.
ALTER TABLE histories DROP CONSTRAINT histories_level_check;
ALTER TABLE histories ADD CONSTRAINT histories_level_check
    CHECK (level IN ('lane', 'route', 'destination', 'carrier', 'origin', 'overall'));
