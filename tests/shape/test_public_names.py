"""What `import loci` promises. A name is added here on purpose, together with its documentation."""

import subprocess
import sys

import pytest

import loci

PUBLIC = ["Loci", "__version__"]


def test_the_public_names_are_these():
    assert sorted(loci.__all__) == sorted(PUBLIC)


def test_every_public_name_exists():
    assert [name for name in loci.__all__ if not hasattr(loci, name)] == []


def test_another_name_does_not_exist():
    with pytest.raises(AttributeError, match="no attribute 'Server'"):
        loci.Server  # noqa: B018


def test_the_server_is_imported_only_when_it_is_named():
    code = "import loci, sys; print(sorted({'fastapi', 'letta_client', 'apsw', 'pydantic'} & sys.modules.keys()))"

    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


@pytest.mark.timing
def test_the_import_takes_no_time_to_speak_of():
    code = "import time; t = time.perf_counter(); import loci; print(time.perf_counter() - t)"
    seconds = min(float(subprocess.check_output([sys.executable, "-c", code], text=True)) for _ in range(3))

    assert seconds < 0.3
