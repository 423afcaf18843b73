"""The wheel and the source distribution hold everything, and an installed wheel works far from any checkout."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"
DEADLINE_SECONDS = 120
MADE = {"PKG-INFO", "setup.cfg"}


@pytest.fixture(scope="module")
def tracked():
    """Every file of the checkout that git knows, or is about to."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return {name for name in told.split("\0") if name and (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def tree(tracked, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree")
    for name in tracked:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


def build(tree, kind, folder):
    answer = subprocess.run(
        [sys.executable, "-c", BUILD, f"build_{kind}", str(folder)],
        cwd=tree, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    return folder / answer.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(tree, tmp_path_factory):
    return build(tree, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tree, tmp_path_factory):
    return build(tree, "sdist", tmp_path_factory.mktemp("sdist"))


def held(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel, tracked):
    package = {name for name in held(wheel) if ".dist-info/" not in name}
    assert package == {name for name in tracked if name.startswith("exporter/")}


def test_the_licence_of_everything_vendored_comes_with_the_wheel(wheel, tracked):
    licences = {name.rpartition("/")[2] for name in held(wheel) if "/licenses/" in name}
    vendored = {Path(name).name for name in tracked if name.startswith("exporter/static/vendor/")}
    assert {name.partition("-")[0] for name in vendored} == {
        name.removesuffix("-LICENSE.txt") for name in licences - {"LICENSE"}
    }
    assert "LICENSE" in licences


def test_the_source_distribution_holds_the_whole_checkout(sdist, tracked):
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    assert {name for name in names if ".egg-info/" not in name} - MADE == tracked - MADE


def test_the_source_distribution_builds_the_same_wheel(sdist, wheel, tmp_path):
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert held(build(unpacked, "wheel", tmp_path)) == held(wheel)


@pytest.fixture
def installed(wheel, tmp_path):
    """Run the installed command line in a folder that is no checkout, for a user with a home of their own."""
    site = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True, timeout=DEADLINE_SECONDS)
    work = tmp_path / "work"
    work.mkdir()
    known = {name: value for name, value in os.environ.items() if not name.startswith(("EXPORTER_", "XDG_"))}

    def run(*arguments, **environ):
        return subprocess.run(
            [sys.executable, "-m", "exporter", *arguments], cwd=work, capture_output=True, text=True, check=False,
            env={**known, "PYTHONPATH": str(site), "HOME": str(tmp_path / "home"), **environ}, timeout=DEADLINE_SECONDS,
        )  # fmt: skip

    run.site, run.work, run.home = site, work, tmp_path / "home"
    return run


def test_an_installed_wheel_keeps_its_instance_in_the_users_folder_for_data(installed):
    answer = installed("init")
    assert answer.returncode == 0, answer.stderr
    folder = installed.home / ".local/share/exporter"
    assert f"App database ready in {folder}" in answer.stdout
    assert (folder / "exporter.sqlite3").is_file()
    assert list(installed.work.iterdir()) == []
    assert not list(installed.site.rglob("instance"))


def test_a_folder_for_data_that_the_user_chose_is_obeyed_and_a_relative_one_is_not(installed, tmp_path):
    chosen = tmp_path / "data"
    assert f"{chosen}/exporter" in installed("init", XDG_DATA_HOME=str(chosen)).stdout
    assert f"{installed.home}/.local/share/exporter" in installed("init", XDG_DATA_HOME="data").stdout
