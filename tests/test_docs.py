"""The documentation agrees with the code; ``python -m tests.test_docs`` regenerates its tables."""

import ast
import json
import re
from dataclasses import fields
from functools import partial

import pytest

from network_health import Settings
from tests.reporting.report_format import documented
from tests.test_architecture import PARTS, STAGES
from tests.tree import ROOT

README = ROOT / "README.md"
SETTINGS = ROOT / "docs" / "settings.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
LIBRARY = ROOT / "network_health"
PAGES = sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/**/*.md"))

#: The settings that the README shows: those of the reference agent.
FIRST = 8
#: The packages in the order of the stages, each followed by its parts; ``""`` is the library itself.
PACKAGES = tuple(
    "" if name == "monitor" else name.replace(".", "/")
    for stage in STAGES
    for name in (stage, *(part for part in PARTS if part.startswith(f"{stage}.")))
)


def default_of(field):
    return json.dumps(list(field.default) if isinstance(field.default, tuple) else field.default)


def first_settings_table():
    """The settings of the reference agent, as the README shows them."""
    rows = ["| setting | default | unit | meaning |", "|---|---|---|---|"]
    for f in fields(Settings)[:FIRST]:
        rows.append(f"| `{f.name}` | `{default_of(f)}` | {f.metadata['unit']} | {f.metadata['meaning']} |")
    return "\n".join(rows)


def settings_table():
    """All settings with their allowed values."""
    rows = ["| setting | default | unit | meaning | allowed |", "|---|---|---|---|---|"]
    for f in fields(Settings):
        about = f"{f.metadata['unit']} | {f.metadata['meaning']} | {f.metadata['rule'].allowed}"
        rows.append(f"| `{f.name}` | `{default_of(f)}` | {about} |")
    return "\n".join(rows)


def fields_table(pattern):
    """Fields of a report, as the README shows them; docs/report-format.md has all fields."""
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


def paragraphs(path):
    """The paragraphs of a module's docstring as Markdown, each on one line."""
    text = (ast.get_docstring(ast.parse(path.read_text())) or "").replace("``", "`")
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]


def modules_tables():
    """Every package with the docstring of its ``__init__``, and its modules with their first sentence."""
    lines = []
    for package in PACKAGES:
        lines += [f"### `{'/'.join(filter(None, ('network_health', package)))}/`", ""]
        if package:
            lines += ["\n\n".join(paragraphs(LIBRARY / package / "__init__.py")), ""]
        lines += ["| module | task |", "|---|---|"]
        for _, name, path in (module for module in modules() if module[0] == package):
            task = paragraphs(path)[0].replace("|", "\\|")
            lines.append(f"| `{name}` | {task} |")
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
    """Each generated table on its page equals the table that the code generates."""
    assert between(page.read_text(), name)[0].strip() == TABLES[page, name]()


def test_every_package_is_on_the_page():
    """The page has every package of the library."""
    assert {package for package, _, _ in modules()} == set(PACKAGES)


def test_the_diagram_has_every_stage():
    """Each name in the diagram's boxes is a package, a module or the agent, and no stage is missing."""
    diagram = re.search(r"```mermaid\n(.*?)```", ARCHITECTURE.read_text(), re.DOTALL)[1]
    boxes = re.findall(r'\w\["(.+?)"\]', diagram)
    known = {f"{package}/" for package in PACKAGES} | {name for _, name, _ in modules()} | {"the agent"}
    named = {name for box in boxes for name in re.split(r",?<br/>|, ", box)}
    assert named - known == set()
    assert {"monitor" if stage == "monitor" else f"{stage}/" for stage in STAGES} <= named


def test_every_setting_has_advice():
    """The page says when to change each setting, with an allowed example that differs from the default."""
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| `(.+)` \|$", SETTINGS.read_text(), re.MULTILINE)
    assert sorted(name for name, _, _ in rows) == sorted(f.name for f in fields(Settings))
    for name, _, example in rows:
        value = getattr(Settings.from_mapping({name: json.loads(example)}), name)
        assert value != getattr(Settings(), name), name


def sentences():
    """Every text in the agent and the library, with ``…`` for the variable parts of an f-string."""
    for path in (*sorted(LIBRARY.rglob("*.py")), *(ROOT / "agent").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                yield "".join(
                    getattr(part, "value", "") if isinstance(part, ast.Constant) else "…"
                    for part in node.values
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_the_quoted_log_lines_are_in_the_code():
    """Each log line in operations.md is a text in the code, except for its variable parts."""
    known = set(sentences())
    text = (ROOT / "docs" / "operations.md").read_text()
    quoted = re.findall(r"^\| `(.+?)` \|", between(text, "log")[0], re.MULTILINE)
    assert len(quoted) > 10
    for line in quoted:
        pattern = ".*".join(map(re.escape, line.split("…")))
        assert any(re.match(pattern, sentence, re.DOTALL) for sentence in known), line


def test_the_attribution_line_is_in_the_readme():
    """The framework's licence requires this sentence."""
    assert "Powered by MatrixSwarm — https://github.com/matrixswarm/matrixswarm" in README.read_text()


def anchors(page):
    """The anchors of a page's headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[(.+?)\]\(.+?\)", r"\1", heading).lower()
        yield re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_link_is_broken(page):
    """Every relative link in the documentation leads to a file, and its anchor to a heading."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        name, _, fragment = target.partition("#")
        linked = (page.parent / name) if name else page
        assert linked.exists(), target
        assert not fragment or fragment in anchors(linked), target


def test_the_index_has_every_page():
    """The index of docs/ links to every page."""
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", (ROOT / "docs" / "README.md").read_text()))
    assert linked == {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}


def test_contributing_names_existing_files_and_every_dependency():
    """Every file in CONTRIBUTING exists, and every dependency has its reason there."""
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
