"""The timetable names tasks that there are, and each task has a queue that a worker takes from."""

from hpns.celery import app


def test_every_entry_names_a_task_that_a_worker_knows() -> None:
    app.loader.import_default_modules()
    named = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert named <= set(app.tasks)
    assert {"delivery.recheck", "tenants.warn_of_expiry", "tenants.forget_erased"} <= named


def test_no_clock_of_a_worker_keeps_anything_of_the_timetable_from_being_done() -> None:
    assert [name for name, entry in app.conf.beat_schedule.items() if "expires" in entry.get("options", {})] == []


def test_an_entry_that_names_no_task_would_be_noticed() -> None:
    assert "tenants.no_such_task" not in app.tasks
