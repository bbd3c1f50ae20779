-- Who used people's data, newest first, without reading every consent on the way.
CREATE INDEX ledger_use ON ledger (entry) WHERE kind IN ('personal_use', 'legal_hold');
