import subprocess
import sys

PROGRAM = """
import sys
import core.runtimes.convert, core.runtimes.quantize
from nncf.telemetry import telemetry
from openvino.tools.ovc import telemetry_utils
print(telemetry_utils.tm.__name__, type(telemetry).__name__, sys.modules["openvino_telemetry"])
"""


def test_converting_and_quantizing_cannot_report_their_use_over_the_internet():
    spoken = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    assert spoken.stdout.split() == ["openvino.tools.ovc.telemetry_stub", "MagicMock", "None"]
