import json


def settings() -> dict:
    """What the running subject was started with."""
    machine.wait_for_unit("subject.service")
    return json.loads(machine.wait_until_succeeds("cat /run/subject/settings.json"))


def main_pid() -> str:
    return machine.get_unit_property("subject.service", "MainPID")


start_all()
machine.wait_for_unit("multi-user.target")
