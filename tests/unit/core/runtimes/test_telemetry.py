import subprocess
import sys

PROGRAM = """
import sys
import core.runtimes.convert
from openvino.tools.ovc import telemetry_utils
print(telemetry_utils.tm.__name__, sys.modules["openvino_telemetry"])
"""


def test_the_converter_cannot_report_its_use_over_the_internet():
    spoken = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    assert spoken.stdout.split() == ["openvino.tools.ovc.telemetry_stub", "None"]
