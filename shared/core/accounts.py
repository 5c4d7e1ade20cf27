"""The names of service accounts."""


def service_account(name: str, project: str) -> str:
    """Return the email address of a project's service account.

    A project of a domain, `example.com:p`, has the accounts `NAME@p.example.com.…`:
    https://cloud.google.com/iam/docs/service-account-types#user-managed
    """
    domain, _, plain = project.rpartition(":")
    return f"{name}@{'.'.join(filter(None, (plain, domain)))}.iam.gserviceaccount.com"
