import pytest

from cli.environment import read_settings
from core.errors import SetupError


def test_a_heart_that_beats_too_slowly_for_the_lease_is_refused(monkeypatch):
    monkeypatch.setenv("GRAY2HUE_LEASE_S", "5")
    with pytest.raises(SetupError) as caught:
        read_settings()
    assert caught.value.code == "bad_settings"
    assert "GRAY2HUE_HEARTBEAT_S" in caught.value.message
    monkeypatch.setenv("GRAY2HUE_HEARTBEAT_S", "2.5")
    assert read_settings().heartbeat_s == 2.5
