"""May we? Purposes, signals, policy, ledger, receipts."""
