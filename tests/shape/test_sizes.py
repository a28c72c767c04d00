"""Nothing grows unseen: `sizes.toml` holds, and the ratchet that says so bites."""

from pathlib import Path

from scripts import sizes
from tests.shape.source import ROOT

LIMITS = sizes.Limits(package_lines=50, file_lines=12, function_lines=3, broad_excepts=1)
CATCHING = "try:\n    pass\nexcept Exception:\n    pass\n"


def faults(tmp_path: Path, text: str, *allowances: sizes.Allowance) -> list[str]:
    package = tmp_path / "src" / "loci"
    package.mkdir(parents=True)
    (package / "x.py").write_text(text)
    return sizes.faults(LIMITS, list(allowances), sizes.measure(tmp_path, package))


def test_the_package_keeps_to_sizes_toml(capsys):
    status = sizes.main(ROOT)

    assert status == 0, capsys.readouterr().out


def test_a_long_function_fails(tmp_path: Path):
    found = faults(tmp_path, "class A:\n    def f(self):\n        a = 1\n        b = 2\n        return a, b\n")

    assert found == ["src/loci/x.py:A.f: function_lines is 4, more than 3: split it, or excuse it in sizes.toml"]


def test_a_long_file_and_a_large_package_fail(tmp_path: Path):
    found = faults(tmp_path, "a = 1\n" * 60)

    assert found == [
        "the package: 60 lines, more than 50: delete something",
        "src/loci/x.py: file_lines is 60, more than 12: split it, or excuse it in sizes.toml",
    ]


def test_an_excused_place_may_not_grow(tmp_path: Path):
    excuse = sizes.Allowance("file_lines", "src/loci/x.py", 20, "a table")

    assert faults(tmp_path, "a = 1\n" * 20, excuse) == []
    assert faults(tmp_path / "grown", "a = 1\n" * 21, excuse) == [
        "src/loci/x.py: file_lines is 21, more than 20: split it, or excuse it in sizes.toml",
    ]


def test_an_exception_that_nothing_needs_fails(tmp_path: Path):
    gone = sizes.Allowance("function_lines", "src/loci/y.py:f", 9, "it was long")
    generous = sizes.Allowance("file_lines", "src/loci/x.py", 99, " ")

    assert faults(tmp_path, "a = 1\n" * 20, gone, generous) == [
        "sizes.toml: function_lines of src/loci/y.py:f: no longer needed (0); remove it",
        "sizes.toml: file_lines of src/loci/x.py: allows 99, but there are 20; lower it",
        "sizes.toml: file_lines of src/loci/x.py: give a reason",
    ]


def test_each_place_that_catches_everything_is_listed_and_they_are_few(tmp_path: Path):
    listed = sizes.Allowance("broad_excepts", "src/loci/x.py", 2, "the edge")

    assert faults(tmp_path, CATCHING) == [
        "src/loci/x.py: broad_excepts is 1, more than 0: split it, or excuse it in sizes.toml",
    ]
    assert faults(tmp_path / "twice", CATCHING * 2, listed) == [
        "2 places catch everything, more than 1: name the errors instead",
    ]


def test_a_handler_that_raises_again_catches_nothing(tmp_path: Path):
    assert faults(tmp_path, "try:\n    pass\nexcept BaseException:\n    undo()\n    raise\n") == []


def test_every_form_of_catching_everything_is_seen(tmp_path: Path):
    for number, handler in enumerate(
        ("except:", "except (OSError, Exception):", "except builtins.BaseException as e:")
    ):
        found = faults(tmp_path / str(number), f"try:\n    pass\n{handler}\n    pass\n")
        assert len(found) == 1, handler
    assert len(faults(tmp_path / "suppress", "with contextlib.suppress(Exception):\n    pass\n")) == 1


def test_an_import_inside_a_function_needs_its_file_listed(tmp_path: Path):
    lazy = "import importlib\ndef f():\n    import os\n    return importlib.import_module('json')\n"
    listed = sizes.Allowance("lazy_imports", "src/loci/x.py", 2, "a provider that few people use")

    assert faults(tmp_path, lazy.replace("    import os\n", "")) == [
        "src/loci/x.py: lazy_imports is 1, more than 0: split it, or excuse it in sizes.toml",
    ]
    assert [line for line in faults(tmp_path / "listed", lazy, listed) if "lazy" in line] == []
