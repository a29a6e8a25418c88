"""The machine's counters: RAPL zones as files of the kernel's layout, NVML by a stand-in for its package."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from spikebayes.evaluate.energy.meter import Meter

RANGE = 262_143_328_850


def zone(folder: Path, place: str, name: str, microjoules: int) -> Path:
    """A zone as the kernel shows it."""
    made = folder / place
    made.mkdir(parents=True)
    for file, text in (("name", name), ("energy_uj", microjoules), ("max_energy_range_uj", RANGE)):
        (made / file).write_text(f"{text}\n")
    return made / "energy_uj"


@pytest.fixture(autouse=True)
def no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)  # importing it fails


@pytest.fixture
def powercap(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "intel-rapl").mkdir()
    return {
        "package": zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000),
        "core": zone(tmp_path, "intel-rapl:0:0", "core", 500_000),
        "memory": zone(tmp_path, "intel-rapl:0:1", "dram", 200_000),
        "other": zone(tmp_path, "intel-rapl:1", "package-1", RANGE - 3_000_000),
        "platform": zone(tmp_path, "intel-rapl:2", "psys", 9),
        "copy": zone(tmp_path, "intel-rapl-mmio:0", "package-0", 7),
    }


def test_packages_and_memory_are_read_once_each(powercap: dict[str, Path], tmp_path: Path) -> None:
    with Meter(tmp_path) as meter:
        for name, now in (("package", 3_500_000), ("core", 900_000), ("memory", 200_500), ("platform", 99)):
            powercap[name].write_text(f"{now}\n")
    assert meter.joules == pytest.approx({"RAPL package-0": 2.5, "RAPL package-0 dram": 5e-4, "RAPL package-1": 0})
    assert set(meter.missing) == {"NVML"}
    assert meter.seconds > 0


def test_a_counter_that_starts_anew_is_followed(powercap: dict[str, Path], tmp_path: Path) -> None:
    with Meter(tmp_path) as meter:
        powercap["other"].write_text("4000000\n")
    assert meter.joules["RAPL package-1"] == pytest.approx(7)


def test_a_meter_can_be_used_again(powercap: dict[str, Path], tmp_path: Path) -> None:
    meter = Meter(tmp_path)
    for now in (2_000_000, 5_000_000):
        with meter:
            powercap["package"].write_text(f"{now}\n")
    assert meter.joules["RAPL package-0"] == pytest.approx(3)


def test_a_machine_without_counters(tmp_path: Path) -> None:
    with Meter(tmp_path / "none") as meter:
        pass
    assert meter.joules == {}
    assert "there is no folder" in meter.missing["RAPL"]
    assert meter.missing["NVML"] == "the Python package pynvml is not installed"


def test_zones_without_a_package(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "psys", 1)
    assert "no processor package" in Meter(tmp_path).missing["RAPL"]


def test_counters_for_the_administrator_alone(
    powercap: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The administrator, who may run these tests, could read a file of mode 0."""
    read = Path.read_text

    def refuse(path: Path, *given: str) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path, *given)

    monkeypatch.setattr(Path, "read_text", refuse)
    meter = Meter(tmp_path)
    assert not meter.counters
    assert meter.missing["RAPL"] == f"{powercap['package']} may not be read"


def test_cards_count_millijoules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = [5_000, 7_000]
    nvml = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda k: k,
        nvmlDeviceGetTotalEnergyConsumption=lambda k: counts[k],
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    with Meter(tmp_path / "none") as meter:
        counts[1] += 1_500
    assert meter.joules == pytest.approx({"NVML GPU 0": 0, "NVML GPU 1": 1.5})
    assert set(meter.missing) == {"RAPL"}


def test_a_driver_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("Driver Not Loaded")

    monkeypatch.setitem(sys.modules, "pynvml", SimpleNamespace(nvmlInit=fail))
    assert Meter(tmp_path / "none").missing["NVML"] == "Driver Not Loaded"
