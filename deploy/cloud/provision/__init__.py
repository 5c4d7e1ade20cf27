"""What each build keeps as it shall be: topics and subscriptions, the schedule, the ledger's rules."""
