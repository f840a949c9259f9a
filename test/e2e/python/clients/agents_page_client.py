"""The Python programs of docs/agents.md, each run as it stands there."""

import contextlib
import io
import os
import re
from pathlib import Path

from checks import Skip, arguments, run

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # nothing is fetched

url, model = arguments()
PAGE = (Path(__file__).parents[4] / "docs" / "agents.md").read_text()
PROGRAMS = re.findall(r"^## ([^\n]*)\n+```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def _check(title: str, text: str):
    def check():
        if model != "troupe-tiny":
            raise Skip("the programs name the bundled model")
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile(text.replace("http://127.0.0.1:8000", url), title, "exec"), {})
        assert said.getvalue().strip(), "it said nothing"

    check.__name__ = re.sub(r"\W+", "_", title).strip("_")
    return check


assert len(PROGRAMS) == 3, PROGRAMS
run([_check(title, text) for title, text in PROGRAMS])
