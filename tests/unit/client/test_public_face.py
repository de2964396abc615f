from __future__ import annotations

import subprocess
import sys

import pytest

import clawlog


def test_every_public_name_is_there() -> None:
    for name in clawlog.__all__:
        assert getattr(clawlog, name).__name__ == name


def test_names_are_offered_before_they_are_loaded() -> None:
    assert set(clawlog.__all__) <= set(dir(clawlog))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        clawlog.nothing  # noqa: B018 - the access is the test


def test_task_stays_the_function_whatever_else_is_imported() -> None:
    code = "import clawlog, clawlog.tasks.blocking, clawlog.tasks.asynchronous; clawlog.task; assert callable(clawlog.task)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_the_package_loads_nothing_else_of_it() -> None:
    code = "import sys, clawlog; print([name for name in sys.modules if name.startswith('clawlog.')])"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert loaded.stdout == "[]\n"


def test_all_errors_are_one_tree() -> None:
    from clawlog import errors

    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)]
    assert all(issubclass(each, errors.ClawlogError) for each in classes)
    assert all(each.__name__ in str(errors.__doc__) for each in classes)
    assert {each.__name__ for each in classes} <= set(clawlog.__all__)
