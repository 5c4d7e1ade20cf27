"""Commands for operators: plan, migrate, agent and dead-letters."""
