"""The texts of the programs that run in a container: each is one file without a package.

Their modules lie in `container`. A text contains its modules one after another, without the lines
that import one of them from another.
"""

import re
from pathlib import Path

_FOLDER = Path(__file__).parent / "container"
_OURS = re.compile(r"^from shared\.runspec\.container\.\w+ import (?:\([^)]*\)|[^\n(]*)\n", re.M)


def _program(*modules: str) -> str:
    texts = ((_FOLDER / f"{name}.py").read_text(encoding="utf-8") for name in modules)
    return "\n\n".join(_OURS.sub("", text) for text in texts)


_INSTALLATION = ("output", "requirements", "install")
INSTALL = _program(*_INSTALLATION, "install_in_image")
FETCH = _program(*_INSTALLATION, "patch", "fetch_code")
NOTEBOOK = _program("notebook")
READ_KEY = _program("read_key")
