"""docs/PICTURES.md shows what its code draws."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "PICTURES.md").read_text(encoding="utf-8")


def labels(path):
    return sorted(re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text(encoding="utf-8")))


def test_every_picture_is_what_its_code_draws(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    names = {}
    for code in re.findall(r"^```python\n(.*?)^```$", TEXT, re.S | re.M):
        exec(code, names)
    assert capsys.readouterr().out in TEXT
    drawn = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    shown = re.findall(r"\(pictures/(\w+\.svg)\)", TEXT)
    assert sorted({*drawn, "in_micrograds_style.svg"}) == sorted(shown)
    assert sorted(path.name for path in (ROOT / "docs" / "pictures").iterdir()) == sorted(shown)
    for name in drawn:
        assert labels(tmp_path / "pictures" / name) == labels(ROOT / "docs" / "pictures" / name) != []


def test_each_picture_is_described():
    for words in re.findall(r"!\[([^\]]*)\]", TEXT):
        assert len(words) > 40
