"""What the commands that steer share: who asks, wishes in the ledger, the agent's note, waiting."""
