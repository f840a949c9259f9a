"""
References for chat templates: what transformers renders.

    python template-reference.py FOLDER CONVERSATIONS.json OUT.json   templates (*.jinja) of a folder
    python template-reference.py --cases CASES.json OUT.json          small templates in one file

CONVERSATIONS is what `bun test/support/template/template-compare.ts conversations` prints. CASES is
what `bun test/support/template/template-compare.ts cases` prints. OUT has a text, or {"error": …} where
transformers raises. Needs `pip install transformers jinja2`. The date is fixed, so that references
do not age.
"""

import copy
import json
import logging
import pathlib
import sys
from datetime import datetime

logging.disable(logging.CRITICAL)
from transformers.utils import chat_template_utils  # noqa: E402

NOW = datetime(2026, 2, 3, 14, 5, 9)


class FixedTime(datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


chat_template_utils.datetime = FixedTime


def attempt(render):
    try:
        return render()
    except Exception as error:  # whatever a template meets
        return {"error": f"{type(error).__name__}: {error}"[:300]}


def of_conversation(source, case):
    def render():
        texts, _ = chat_template_utils.render_jinja_template(
            [case["messages"]],
            tools=case.get("tools"),
            documents=case.get("documents"),
            chat_template=source,
            add_generation_prompt=case.get("add_generation_prompt", False),
            bos_token="<s>",
            eos_token="</s>",
            **case.get("variables", {}),
        )
        return texts[0]

    return attempt(render)


def of_folder(folder, conversations, out):
    cases = json.loads(pathlib.Path(conversations).read_text())
    result = {}
    for path in sorted(pathlib.Path(folder).glob("*.jinja")):
        source = path.read_text()
        result[path.name] = {case["name"]: of_conversation(source, case) for case in cases}
    pathlib.Path(out).write_text(json.dumps(result, ensure_ascii=False))


def of_cases(path, out):
    given = json.loads(pathlib.Path(path).read_text())

    def text(source):
        template = chat_template_utils._compile_jinja_template(source)
        # Some filters change a list that they are given.
        return template.render(**copy.deepcopy(given["variables"]))

    cases = [[source, attempt(lambda source=source: text(source))] for source in given["templates"]]
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    pathlib.Path(out).write_text(f"[\n{lines}\n]\n")


if sys.argv[1] == "--cases":
    of_cases(*sys.argv[2:])
else:
    of_folder(*sys.argv[1:])
