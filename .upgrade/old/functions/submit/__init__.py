"""Submit: turn each message on the topic into at most one Vertex AI CustomJob."""
