"""What is shipped to a bin: the wheel, the pinned versions, the files under systemd/."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("kiosk", "drivers", "sync")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    # A copy, because setuptools leaves build/ and *.egg-info beside the sources.
    tree = tmp_path_factory.mktemp("tree")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    build = [sys.executable, "-m", "pip", "wheel", "--disable-pip-version-check", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--no-index", "-w", tree / "dist", tree], check=True, capture_output=True)
    (built,) = (tree / "dist").iterdir()
    return zipfile.ZipFile(built)


def test_the_wheel_carries_every_file_of_the_packages_but_the_simulator(wheel: zipfile.ZipFile) -> None:
    shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    simulator = ROOT / "kiosk" / "simulator"
    expected = {
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and simulator not in file.parents
    }
    assert shipped == expected


def test_a_bin_installs_no_gpio_library_it_did_not_ask_for(wheel: zipfile.ZipFile) -> None:
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    required = Parser().parsestr(wheel.read(metadata).decode()).get_all("Requires-Dist", [])
    base = {re.split(r"[^\w.-]", line)[0].lower() for line in required if "extra ==" not in line}
    assert {"gpiozero", "pyserial", "sqlite-utils", "requests"} <= base
    assert not base & {"lgpio", "adafruit-lgpio", "rpi.gpio", "rpi-lgpio"}


def pinned() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_constraints_are_versions_and_hold_no_addresses() -> None:
    assert [line for line in pinned() if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


def test_every_requirement_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    names = {canonical(re.split(r"[^\w.-]", line)[0]) for line in required} - {project["name"]}
    assert names - {canonical(line.split("==")[0]) for line in pinned()} == set()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    unit = (ROOT / "systemd" / "battery-kiosk.service").read_text()
    # The program is not installed where the tests run, and verify insists on that; everything else stays as it is.
    unit = re.sub(r"^ExecStart=.*$", "ExecStart=/bin/true", unit, flags=re.MULTILINE)
    (tmp_path / "battery-kiosk.service").write_text(unit)
    verify = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "battery-kiosk.service")]
    complaints = subprocess.run(verify, capture_output=True, text=True, check=True).stderr
    assert "battery-kiosk" not in complaints


def test_the_user_of_the_unit_is_in_the_groups_that_own_the_devices() -> None:
    unit = (ROOT / "systemd" / "battery-kiosk.service").read_text()
    rules = (ROOT / "systemd" / "udev" / "60-battery-kiosk.rules").read_text()
    users = (ROOT / "systemd" / "sysusers.d" / "battery-kiosk.conf").read_text()
    owners = set(re.findall(r'GROUP="(\w+)"', rules))
    assert owners == set(re.findall(r"^m battery-kiosk (\w+)$", users, re.MULTILINE))
    assert owners == set(re.findall(r"^SupplementaryGroups=(.*)$", unit, re.MULTILINE)[0].split())
