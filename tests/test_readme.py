"""The README's Python runs as it stands."""
import pathlib
import re

README = pathlib.Path(__file__).parents[1] / "README.md"


def test_the_python_of_the_readme_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["e"].relevance.shape == (2, 64, 64, 3) and list(names["e"].target) == [8, 3]
    assert "Flat()" in capsys.readouterr().out
