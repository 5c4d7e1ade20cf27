"""What operators see of a deployment: log-based metrics, a dashboard and alerts, as files."""
