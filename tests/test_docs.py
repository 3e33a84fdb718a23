"""The documentation says what the code says; ``python -m tests.test_docs`` writes its tables anew."""

import ast
import json
import re
from dataclasses import fields
from functools import partial

import pytest

from network_health import Settings
from tests.reporting.report_format import documented
from tests.tree import ROOT

README = ROOT / "README.md"
SETTINGS = ROOT / "docs" / "settings.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
LIBRARY = ROOT / "network_health"
PAGES = sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/**/*.md"))

#: The settings that the README shows: those of the reference agent.
FIRST = 8
#: What a package of the library is for.
PACKAGES = {
    "": "The library",
    "linux": "Readings from the kernel",
    "export": "Figures for Prometheus",
    "swarm": "The swarm's files and launchers",
    "cli": "The command",
}


def default_of(field):
    return json.dumps(list(field.default) if isinstance(field.default, tuple) else field.default)


def first_settings_table():
    """The settings that everybody meets, as the README shows them."""
    rows = ["| setting | default | unit | meaning |", "|---|---|---|---|"]
    for f in fields(Settings)[:FIRST]:
        rows.append(f"| `{f.name}` | `{default_of(f)}` | {f.metadata['unit']} | {f.metadata['meaning']} |")
    return "\n".join(rows)


def settings_table():
    """All settings, with what is allowed."""
    rows = ["| setting | default | unit | meaning | allowed |", "|---|---|---|---|---|"]
    for f in fields(Settings):
        about = f"{f.metadata['unit']} | {f.metadata['meaning']} | {f.metadata['rule'].allowed}"
        rows.append(f"| `{f.name}` | `{default_of(f)}` | {about} |")
    return "\n".join(rows)


def fields_table(pattern):
    """Fields of a report, as the README shows them; the page of the format has all."""
    rows = ["| field | meaning | present |", "|---|---|---|"]
    for path, field in documented().items():
        if re.fullmatch(pattern, path):
            meaning = re.sub(r"\]\((?!http)", "](docs/", field.meaning)
            rows.append(f"| `{path.rpartition('.')[2]}` | {meaning} | {field.present or 'always'} |")
    return "\n".join(rows)


def modules():
    """Each module of the library: (package, name, path)."""
    for path in sorted(LIBRARY.rglob("*.py")):
        package = path.parent.relative_to(LIBRARY).as_posix()
        if "payload" not in path.parts and path.stem != "__init__":
            yield "" if package == "." else package, path.stem, path


def modules_tables():
    """Every module by package, with the first sentence that it says of itself."""
    lines = []
    for package, title in PACKAGES.items():
        lines += [f"### {title}: `network_health/{package}`", "", "| module | what it is |", "|---|---|"]
        for _, name, path in (module for module in modules() if module[0] == package):
            words = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0]
            words = " ".join(words.replace("``", "`").split()).replace("|", "\\|")
            lines.append(f"| `{name}` | {words} |")
        lines.append("")
    return "\n".join(lines).rstrip()


TABLES = {
    (README, "settings"): first_settings_table,
    (README, "content"): partial(fields_table, r"\w+"),
    (README, "metrics"): partial(fields_table, r"metrics\.\w+"),
    (SETTINGS, "settings"): settings_table,
    (ARCHITECTURE, "modules"): modules_tables,
}


def between(text, name):
    return re.search(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", text, re.DOTALL)


@pytest.mark.parametrize(("page", "name"), TABLES, ids=lambda part: getattr(part, "stem", part))
def test_tables_are_current(page, name):
    """Each generated table stands on its page as the code makes it."""
    assert between(page.read_text(), name)[0].strip() == TABLES[page, name]()


def test_every_package_is_on_the_page():
    """No part of the library is left out."""
    assert {package for package, _, _ in modules()} == set(PACKAGES)


def test_the_diagram_names_what_there_is():
    """Each name in the diagram's boxes is a package or a module, or stands for the world around it."""
    diagram = re.search(r"```mermaid\n(.*?)```", ARCHITECTURE.read_text(), re.DOTALL)[1]
    boxes = re.findall(r'\w\["(.+?)"\]', diagram)
    known = {f"{package}/" for package in PACKAGES} | {name for _, name, _ in modules()} | {"the agent"}
    known.add("connections")  # a collector without arithmetic, as the page says
    named = {name for box in boxes for name in re.split(r",?<br/>|, ", box)}
    assert named - known == set()
    assert {"monitor", "readers", "report", "outbox", "settings"} < named


def test_every_setting_has_advice():
    """When to change it, with an example that is allowed and is not the default."""
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| `(.+)` \|$", SETTINGS.read_text(), re.MULTILINE)
    assert sorted(name for name, _, _ in rows) == sorted(f.name for f in fields(Settings))
    for name, _, example in rows:
        value = getattr(Settings.from_mapping({name: json.loads(example)}), name)
        assert value != getattr(Settings(), name), name


def sentences():
    """Every text in the agent and the library, a ``…`` for whatever is filled in."""
    for path in (*sorted(LIBRARY.rglob("*.py")), *(ROOT / "agent").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                yield "".join(
                    getattr(part, "value", "") if isinstance(part, ast.Constant) else "…"
                    for part in node.values
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_the_log_s_lines_are_the_agent_s():
    """What operations.md quotes from the log is what the code says, but for its variable parts."""
    known = set(sentences())
    text = (ROOT / "docs" / "operations.md").read_text()
    quoted = re.findall(r"^\| `(.+?)` \|", between(text, "log")[0], re.MULTILINE)
    assert len(quoted) > 10
    for line in quoted:
        pattern = ".*".join(map(re.escape, line.split("…")))
        assert any(re.match(pattern, sentence, re.DOTALL) for sentence in known), line


def test_the_attribution_line_stands_in_the_readme():
    """The framework's licence asks for it, in these words."""
    assert "Powered by MatrixSwarm — https://github.com/matrixswarm/matrixswarm" in README.read_text()


def anchors(page):
    """The fragments by which a page's headings can be linked to."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[(.+?)\]\(.+?\)", r"\1", heading).lower()
        yield re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_link_is_broken(page):
    """Every relative link of the documentation leads to a file, and to a heading where it names one."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        name, _, fragment = target.partition("#")
        there = (page.parent / name) if name else page
        assert there.exists(), target
        assert not fragment or fragment in anchors(there), target


def test_the_index_has_every_page():
    """What is in docs/ can be found from its index."""
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", (ROOT / "docs" / "README.md").read_text()))
    assert linked == {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}


def test_contributing_names_what_there_is():
    """Every file that a collector touches is there, and every dependency has its reason."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for name in re.findall(r"`([\w/.]+\.(?:py|md))`", text):
        assert any((folder / name).exists() for folder in (ROOT, LIBRARY)), name
    project = (ROOT / "pyproject.toml").read_text()
    needed = re.findall(r'^ +"([\w-]+)[>=]=|requires = \["([\w-]+)', project, re.MULTILINE)
    reasons = " ".join(re.findall(r"^\| (.+?) \|", text, re.MULTILINE)).replace(",", "").split()
    assert len(needed) > 10
    assert {name for pair in needed for name in pair if name} - set(reasons) == set()


if __name__ == "__main__":
    for (page, name), table in TABLES.items():
        text = page.read_text()
        found = between(text, name)
        page.write_text(f"{text[: found.start()]}{table()}\n{text[found.end() :]}")
