# Several machines and the network between them.
start_all()
t.assertEqual([one.name for one in machines], ["one", "three", "two"])
for one in machines:
    one.wait_for_unit("distccd.service")
    t.assertEqual(one.succeed("cat /proc/sys/kernel/hostname").strip(), one.name)

with subtest("each reaches each by its name"):
    for one in machines:
        for other in machines:
            one.wait_for_open_port(3632, other.name, timeout=20)

with subtest("a change on one is none on another"):
    one, two = machines[0], machines[2]
    one.succeed("dynix append services.distccd.maxJobs 3 --apply")
    assert "services.distccd.maxJobs = 3" in one.succeed("dynix status")
    assert "services.distccd.maxJobs = 3" not in two.succeed("dynix status")

with subtest("a machine whose cable is pulled is not reached, and is up"):
    two.block()
    one.fail("timeout 2 bash -c '</dev/tcp/two/3632'")
    two.succeed("systemctl is-active distccd.service")
    two.unblock()
    one.wait_for_open_port(3632, "two", timeout=20)

with subtest("a machine that boots again has its network again"):
    two.shutdown()
    one.fail("timeout 2 bash -c '</dev/tcp/two/3632'")
    two.start()
    one.wait_for_open_port(3632, "two", timeout=60)
    two.wait_for_open_port(3632, "three", timeout=20)
