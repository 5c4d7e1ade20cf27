"""The error that becomes a GraphQL error."""


class Refused(Exception):
    """W&B refuses a request; the message reaches the client."""
