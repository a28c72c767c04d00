"""What `import loci` promises. A name is added here on purpose, together with its documentation."""

import loci

PUBLIC = ["__version__"]


def test_the_public_names_are_these():
    assert sorted(loci.__all__) == sorted(PUBLIC)


def test_every_public_name_exists():
    assert [name for name in loci.__all__ if not hasattr(loci, name)] == []
