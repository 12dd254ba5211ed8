"""Every example in a docstring of the package runs and prints what it says."""

import doctest
import importlib
import pkgutil

import pytest

import cnncourse.inspection

MODULES = [module.name for module in pkgutil.iter_modules(cnncourse.inspection.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    results = doctest.testmod(importlib.import_module(f"cnncourse.inspection.{name}"))
    assert results.failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    modules = [importlib.import_module(f"cnncourse.inspection.{name}") for name in MODULES]
    assert sum(bool(found.examples) for module in modules for found in finder.find(module)) >= 9
