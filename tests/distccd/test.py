"""distccd is configured by its command line: what counts is what the running process was started with."""

STATIC = {
    "--port": "3632",
    "--job-lifetime": "900",
    "--log-level": "warning",
    "--jobs": "12",
    "--allow": "127.0.0.1",
}


def main_pid() -> str:
    return machine.get_unit_property("distccd.service", "MainPID")


def command_line() -> list[str]:
    return machine.succeed(f"tr '\\0' '\\n' < /proc/{main_pid()}/cmdline").splitlines()[1:]


def expect(**changed: str) -> None:
    values = STATIC | {f"--{name.replace('_', '-')}": value for name, value in changed.items()}
    words = ["--no-detach", "--daemon", "--enable-tcp-insecure"]
    for flag, value in values.items():
        words += [flag, value]
    t.assertEqual(command_line(), words)


start_all()
machine.wait_for_unit("distccd.service")
machine.wait_for_open_port(3632)

with subtest("the built flags are in effect"):
    expect()

with subtest("an override that is only recorded changes nothing"):
    before = main_pid()
    machine.succeed("dynix append services.distccd.maxJobs 4")
    t.assertEqual(main_pid(), before)
    expect()

with subtest("the number of jobs changes"):
    machine.succeed("apply-dynamic-configuration")
    machine.wait_for_open_port(3632)
    expect(jobs="4")

with subtest("the log level changes, and the number of jobs stays"):
    machine.succeed("dynix append services.distccd.logLevel error")
    machine.succeed("apply-dynamic-configuration")
    machine.wait_for_open_port(3632)
    expect(jobs="4", log_level="error")

with subtest("a value that the option's type refuses changes nothing"):
    before = main_pid()
    status, _ = machine.execute("dynix append services.distccd.logLevel loud --apply")
    t.assertEqual(status, 3)
    t.assertEqual(main_pid(), before)
    expect(jobs="4", log_level="error")

with subtest("a switch goes back to the built flags"):
    machine.succeed("/run/current-system/bin/switch-to-configuration test")
    machine.wait_for_open_port(3632)
    expect()

with subtest("and so does a reset"):
    machine.succeed("dynix append services.distccd.maxJobs 4 --apply")
    machine.wait_for_open_port(3632)
    expect(jobs="4")
    machine.succeed("dynix reset")
    machine.wait_for_open_port(3632)
    expect()
