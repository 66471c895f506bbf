"""The page about the module, and the examples of programs, do what they say."""

import doctest
import os
import pathlib
import subprocess
import sys

import antcache
import pytest

ROOT = pathlib.Path(__file__).parents[2]

PRINTED = {
    "client": """hello ['red', 'green'] {'legs': '6', 'wings': '0'}
{'user:1': 'name 1', 'user:2': 'name 2'}
1 42 True
ResponseError INCRBY
""",
    "tasks": "4950\n2\n",
    "sharded": """{'anna': True, 'berta': True, 'clara': True}
still there True
['berta']
""",
    "embedded": """{'theme': 'dark'} False
rendering home
<h1 lang=en>home</h1> True
computing
12 12
""",
    "frameworks": """{'name': 'Ada'}
computing
42 42
computing
[1, 2] [1, 2]
""",
}


def test_the_page(one):
    with antcache.Client(port=one.port) as client:
        client.flush_all()
    # A fence ends what an example prints, as an empty line does.
    text = (ROOT / "docs" / "PYTHON.md").read_text().replace("```", "")
    test = doctest.DocTestParser().get_doctest(text, {"port": one.port}, "PYTHON.md", "PYTHON.md", 0)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    runner.run(test)
    assert runner.summarize(verbose=False).failed == 0 and len(test.examples) > 30


@pytest.mark.parametrize("name", PRINTED)
def test_examples(one, name):
    program = ROOT / "examples" / "python" / f"{name}.py"
    environment = {**os.environ, "PORT": str(one.port)}
    done = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.returncode) == (PRINTED[name], 0), done.stderr[-2000:]


def test_every_example_is_run():
    assert {path.stem for path in (ROOT / "examples" / "python").glob("*.py")} == set(PRINTED)
