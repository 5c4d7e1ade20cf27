"""`vertex-launch cost`: machine-hours, and money if the operator has a price table."""
