"""Every setting can tell where it comes from."""

from pathlib import Path

from loci.cli.sources import sources


def test_without_anything_all_is_default(tmp_path: Path):
    found = sources({"LOCI_HOME": str(tmp_path)})

    assert found["home"] == found["database_url"] == "LOCI_HOME"
    assert {origin for name, origin in found.items() if name not in ("home", "database_url")} == {"default"}


def test_a_variable_a_file_and_a_default_are_told_apart(tmp_path: Path):
    (tmp_path / "config.toml").write_text(
        '[server]\nport = 9000\nhost = "::1"\nmodel = "ollama/x"\n[limits]\nsteps = 7\n[providers.mine]\nbase_url = "http://127.0.0.1:9/v1"\n'
    )
    environment = {
        "LOCI_HOME": str(tmp_path),
        "LOCI_HOST": "127.0.0.1",
        "LETTA_SERVER_PASSWORD": "a long secret",
        "OPENAI_API_KEY": "sk-x",
        "LOCI_MODEL": "openai/y",
        "PATH": "/bin",
    }

    found = sources(environment)

    assert found["port"] == "config.toml"
    assert found["run_steps_max"] == "config.toml"
    assert found["host"] == "LOCI_HOST"
    assert found["api_key"] == "LETTA_SERVER_PASSWORD"
    assert found["default_model"] == "LOCI_MODEL"
    assert found["providers.openai"] == "OPENAI_API_KEY"
    assert found["providers.mine"] == "config.toml"
    assert found["providers.ollama"] == "default"
    assert found["log_level"] == "default"


def test_two_variables_that_say_the_same_are_still_the_environment(tmp_path: Path):
    same = {"LOCI_HOME": str(tmp_path), "LOCI_API_KEY": "secret", "LETTA_SERVER_PASSWORD": "secret"}

    assert sources(same)["api_key"] == "environment"
