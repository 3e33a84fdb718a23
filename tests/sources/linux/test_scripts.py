"""The script that an interpreter runs, and nothing else of its command line."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health.sources.linux import read_script
from network_health.sources.linux.scripts import parse_script


def line(*words):
    """A command line as the kernel has it."""
    return "".join(f"{word}\0" for word in words).encode()


@pytest.mark.parametrize(
    ("words", "script"),
    [
        ("python3 worker.py --token S", "worker.py"),
        ("/usr/bin/python3.12 -uB /srv/app/worker.py S", "worker.py"),
        ("python -W ignore -X dev /a/b.py S", "b.py"),
        ("pypy3 -m http.server 8000", "-m http.server"),
        ("python3 -c S", None),
        ("python3 -uc S", None),
        ("python3 - S", None),
        ("python3 --check-hash-based-pycs S x.py", None),
        ("python3", None),
        ("bash -e /opt/run.sh S", "run.sh"),
        ("-bash", None),
        ("bash -c S", None),
        ("bash -ec S", None),
        ("bash -s S", None),
        ("bash -o pipefail x.sh", None),
        ("bash /dev/fd/63 S", None),
        ("sh --login run.sh", "run.sh"),
        ("perl -w /usr/sbin/tool S", "tool"),
        ("perl -e S", None),
        ("ruby server.rb S", "server.rb"),
        ("node --max-old-space-size=4096 app.js S", "app.js"),
        ("node --require S app.js", None),
        ("php artisan queue:work S", "artisan"),
        ("php -r S", None),
        ("java -Xmx1g -Dpassword=S -cp a.jar:b.jar com.example.Main S", "com.example.Main"),
        ("java -Xmx1g -jar /opt/kafka.jar S", "kafka.jar"),
        ("java -unknown S x.jar", None),
        ("nginx S", None),
        ("curl S", None),
        ("", None),
    ],
)
def test_command_lines(words, script):
    """Options that are known are passed over; with any other option there is no script."""
    assert parse_script(line(*words.split())) == script


@given(st.lists(st.sampled_from(["-u", "-c", "-m", "-X", "-jar", "-x=SECRET", "SECRET", "a.py"]), max_size=6))
def test_an_argument_of_the_script_is_never_shown(words):
    """What comes after a script that was found changes nothing."""
    for program in ("python3", "bash", "java", "node", "perl"):
        plain = parse_script(line(program, *words, "run.x"))
        assert plain is None or parse_script(line(program, *words, "run.x", "PASSWORD")) == plain


def test_a_title_and_a_cut_line():
    """A process title has spaces between its words; of a line that was cut, the last word is left out."""
    assert parse_script(b"python3 worker.py --token S") is None
    assert parse_script(b"python3\0work") is None
    assert parse_script(b"python3\0" + b"w" * 5000 + b"\0")[-1] == "…"


def test_a_real_process(tmp_path):
    """That of a process of this host; one that has ended has none."""
    (tmp_path / "worker.py").write_text("print(flush=True)\ninput()\n")
    command = [sys.executable, tmp_path / "worker.py", "--token", "S"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        assert read_script(child.pid) == "worker.py"
        child.communicate(b"\n")
    assert read_script(child.pid) is None
