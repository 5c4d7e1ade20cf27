"""The commit of the last release, from which deployments are upgraded. A release updates it."""

RELEASED = "029ba16bfe01"
