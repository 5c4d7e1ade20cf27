"""The pages as HTML: every text is escaped, and its invisible characters are made visible."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from deploy.operate.board import text
from deploy.operate.board.detail import Detail
from deploy.operate.board.history import HEIGHT, WIDTH, WINDOWS
from deploy.operate.board.listings import Look
from deploy.operate.board.rows import clean
from deploy.operate.board.view import MOST_ROWS, Choice, board_of
from deploy.operate.fleet.target import Target, run_page, wandb_pages
from deploy.operate.why.facts import Place
from shared.core.duration import span
from shared.core.entry import Entry

HERE = Path(__file__).parent
STYLE = (HERE / "static/board.css").read_text(encoding="utf-8")
SCRIPT = (HERE / "static/board.js").read_text(encoding="utf-8")


def _finished(value: Any) -> Any:
    """Remove what hides or reorders in a text of the page; the template then escapes it."""
    return value if hasattr(value, "__html__") or not isinstance(value, str) else text.lines(value)


def _time(at: datetime, now: datetime) -> Markup:
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        text.machine_time(at), text.stamp(at), text.relative(at, now)
    )


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finished,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "ago": _time,
        "span": span,
        "stamp": text.stamp,
        "machine_time": text.machine_time,
        "clean": clean,
    }
    made.globals |= {"windows": list(WINDOWS), "chart": (WIDTH, HEIGHT), "most_rows": MOST_ROWS}
    return made


class Pages:
    """The pages of one deployment. `alone`: each page is one file without links to the others."""

    def __init__(self, target: Target, *, alone: bool = False) -> None:
        self._target = target
        self._environment = _environment()
        self._alone = alone
        here = "." if target.local else ""  # such a command needs no option
        self._place = Place(target.project, target.region, target.name, folder=here)

    def board(self, look: Look, choice: Choice, seconds: float) -> str:
        """Return the overview, or the page that names what is missing."""
        if look.fleet is None:
            return self._render("problem.html", look, seconds, title="The board")
        board = board_of(self._target, look.fleet, look.note, choice)
        return self._render("board.html", look, seconds, board=board)

    def launch(self, look: Look, detail: Detail, seconds: float) -> str:
        """Return the page of one launch."""
        return self._render("launch.html", look, seconds, detail=detail)

    def missing(self, look: Look, key: str, seconds: float) -> str:
        """Return the page for a key that the ledger does not have."""
        return self._render("missing.html", look, seconds, key=key)

    def _job_link(self, entry: Entry) -> str:
        return _link(self._target.job_url(entry.job_name)) if entry.job_name else ""

    def _render(self, name: str, look: Look, seconds: float, **values: Any) -> str:
        pages = wandb_pages(look.note.base_url)
        shared: Mapping[str, Any] = {
            "target": self._target,
            "look": look,
            "seconds": round(seconds),
            "alone": self._alone,
            "now": look.fleet.now if look.fleet else None,
            "run_link": lambda entry: _link(run_page(pages, entry.run)),
            "job_link": self._job_link,
            "ours": self._place.ours,
            "style": Markup(STYLE) if self._alone else "",  # noqa: S704 - our own file # nosec B704
            "style_hash": _hash(STYLE),
        }
        return self._environment.get_template(name).render(**shared, **values)


def _link(address: str) -> str:
    """Return an address of the web; empty for any other, of a damaged record."""
    return address if address.startswith(("https://", "http://")) else ""


def _hash(content: str) -> str:
    """Return a hash as Content-Security-Policy names it."""
    digest = hashlib.sha256(content.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
