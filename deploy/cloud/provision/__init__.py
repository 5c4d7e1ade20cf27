"""The parts that each build reconciles: topics, subscriptions, schedule, the ledger's rule."""
