"""What the stand-in answers as a GraphQL error."""


class Refused(Exception):
    """Say why W&B does not do what it was asked; the message reaches the client."""
