"""Each test here is that of one module or room; what goes across rooms is in `tests/across`."""

from __future__ import annotations

from pathlib import Path

import hozon

HERE, PACKAGE = Path(__file__).parent, Path(hozon.__file__).parent
#: Of the package as a whole, and of what all files of a room need.
OF_SEVERAL = {"test_package.py", "test_mirror.py", "keras_private/test_needs.py"}


def test_tests_are_where_their_modules_are() -> None:
    strays = []
    for path in HERE.rglob("test_*.py"):
        name = path.relative_to(HERE)
        module = PACKAGE / name.with_name(name.name.removeprefix("test_"))
        if str(name) not in OF_SEVERAL and not (module.exists() or module.with_suffix("").is_dir()):
            strays.append(str(name))
    assert strays == []
