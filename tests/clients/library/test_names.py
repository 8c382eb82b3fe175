"""What `import labelferry` offers, and what it costs."""

import subprocess
import sys

import pytest

import labelferry


@pytest.mark.parametrize("name", labelferry.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(labelferry, name) is not None
    assert name in dir(labelferry)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Klient'"):
        labelferry.__getattr__("Klient")


def test_importing_the_package_loads_no_sockets() -> None:
    code = "import sys, labelferry; sys.exit('zmq' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
