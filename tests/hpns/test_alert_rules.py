"""The rules for Prometheus in docs/: promtool runs their unit tests, and each metric in them is one of ours."""

import re
import shutil
import subprocess
from pathlib import Path

from delivery.metrics.names import METERS
from tests.required_programs import program

ROOT = Path(__file__).resolve().parent.parent.parent
RULES = ROOT / "docs/prometheus/hpns_rules.yml"
TESTS = Path(__file__).parent / "alert_rules_test.yml"
# The metrics page makes these itself, of what is in Valkey.
OF_VALKEY = {
    *("hpns_pushes_due_late_seconds", "hpns_timetable_age_seconds", "hpns_timetable_task_overdue"),
    *("hpns_canary_age_seconds", "hpns_canary_good"),
    *("hpns_ledger_lost_total", "hpns_ledger_check_age_seconds"),
}


def test_the_rules_alert_at_the_burn_rates_that_they_name(tmp_path: Path) -> None:
    shutil.copy(RULES, tmp_path)
    shutil.copy(TESTS, tmp_path)
    done = subprocess.run(
        [program("PROMTOOL"), "test", "rules", TESTS.name], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_metric_in_the_rules_is_one_that_there_is() -> None:
    text = re.sub(r"#.*", "", RULES.read_text(encoding="utf-8"))
    named = set(re.findall(r"\bhpns_[a-z_]+\b", text))
    assert named
    assert named <= {*METERS, *OF_VALKEY}
