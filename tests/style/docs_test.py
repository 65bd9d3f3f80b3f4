"""Checks README.md and docs/ against the tree: `docs_test.py SOURCE_DIR`.

Code below a line `<!-- examples/NAME -->` has to be in that file, word for word, so that it is code that is compiled and run.
Every test that is named, `Suite.Name`, has to exist; so has every file that a link names. The schema of cohort.toml has
the keys that the command takes.
"""

import json
import re
import sys
from pathlib import Path

QUOTE = re.compile(r"^<!-- (\S+/\S+) -->\n+```\w*\n(.*?)^```", re.M | re.S)
# Names of suites and tests, also with the instance and the parameter that parameterized ones have.
TEST = re.compile(r"`(?:\w+/)?([A-Z]\w+)\.([A-Z]\w+)(?:/\w+)?`")
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.M | re.S)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")
DEFINED = re.compile(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", re.M)

# In the table of options: those that are keys of cohort.toml, too.
KEY = re.compile(r'\{"([a-z-]+)",\s*"[^"]*",\s*Kind::\w+,\s*true,')
FLAG = re.compile(r'\{"([a-z-]+)",\s*"[^"]*",\s*Kind::Flag,\s*true,')


def problems(root):
    tests = {match for folder in ("src", "tests") for path in (root / folder).rglob("*_test.cc")
             for match in DEFINED.findall(path.read_text(encoding="utf-8"))}
    quotes = 0
    for document in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        text = document.read_text(encoding="utf-8")
        for name, code in QUOTE.findall(text):
            quotes += 1
            if not (root / name).is_file() or code not in (root / name).read_text(encoding="utf-8"):
                yield f"{document.name}: the code is not in {name} word for word: copy it from there"
        for test in TEST.findall(text):
            if test not in tests:
                yield f"{document.name}: there is no test {'.'.join(test)}"
        for link in LINK.findall(CODE.sub("", text)):
            if not (document.parent / link).exists():
                yield f"{document.name}: the link leads nowhere: {link}"
    options = (root / "src/cli/run_options.cc").read_text(encoding="utf-8")
    keys = {"program", "args", *KEY.findall(options)}
    schema = json.loads((root / "docs/cohort.schema.json").read_text(encoding="utf-8"))
    application = schema["definitions"]["application"]["properties"]
    for key in sorted(keys ^ set(application)):
        yield f"cohort.schema.json: {key} is " + ("missing" if key in keys else "no key of cohort.toml")
    for key in FLAG.findall(options):
        if application.get(key, {}).get("type") != "boolean":
            yield f"cohort.schema.json: {key} is true or false"
    if quotes == 0:
        yield "no document quotes an example: has the form of the comment changed?"


found = list(problems(Path(sys.argv[1])))
print("\n".join(found) or "docs: in order")
sys.exit(1 if found else 0)
