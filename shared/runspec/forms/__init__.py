"""Refuse what Vertex AI documents as invalid, before anything is sent.

Each argument, and each field of its messages, has a row in FORMS, with its source. A form describes
one value; `machines` and `scheduling` compare several. docs/reference/values.md shows the rows.
"""

from shared.runspec.forms.check import FORMS, check
from shared.runspec.forms.form import Form
from shared.runspec.forms.scheduling import check_strategy

__all__ = ["FORMS", "Form", "check", "check_strategy"]
