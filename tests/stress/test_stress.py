"""A short run of what `make stress` does for two minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stress.work import stress


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64")  # JAX, of such inputs
@pytest.mark.usefixtures("nothing_frozen")
def test_threads_do_not_notice_each_other(tmp_path: Path) -> None:
    account = stress(tmp_path, seconds=6)
    assert account.wrong == []
    assert set(account.operations) >= {"load", "save", "train"}
