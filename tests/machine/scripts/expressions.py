"""Records that are no literals are evaluated by Nix; without an evaluator in the plan they are refused."""

import json


def workers() -> int:
    answer = machine.wait_until_succeeds("curl --silent --fail http://localhost:5000/stand-in/settings", timeout=60)
    return json.loads(answer)["workers"]


start_all()
machine.wait_for_unit("harmonia.service")
machine.wait_for_unit("distccd.service")

with subtest("an expression given on the command line"):
    machine.succeed("dynix append services.harmonia.settings.workers --expr '2 * 8' --apply")
    t.assertEqual(workers(), 16)

with subtest("a record that somebody wrote by hand, which uses its arguments"):
    record = "{ set.services.harmonia.settings.workers = config.networking.cores + builtins.length [ 1 2 3 ]; }"
    machine.succeed(f"echo '{record}' >> /etc/nixos/dynamic.nix")
    machine.succeed("apply-dynamic-configuration")
    t.assertEqual(workers(), 9)

with subtest("one whose result the option's type refuses is left out"):
    pid = machine.get_unit_property("distccd.service", "MainPID")
    record = "{ set.services.distccd.maxJobs = toString 3; }"
    machine.succeed("cp /etc/nixos/dynamic.nix /root/kept", f"echo '{record}' >> /etc/nixos/dynamic.nix")
    status, said = machine.execute("apply-dynamic-configuration 2>&1")
    t.assertEqual(status, 3)
    assert "record 3" in said and "services.distccd.maxJobs" in said, said
    t.assertEqual(machine.get_unit_property("distccd.service", "MainPID"), pid)
    t.assertEqual(workers(), 9)

with subtest("one that fails names itself, and changes nothing"):
    machine.succeed("cp /root/kept /etc/nixos/dynamic.nix", "apply-dynamic-configuration")
    t.assertEqual(workers(), 9)
    record = '{ set.services.harmonia.settings.workers = throw "no such luck"; }'
    machine.succeed(f"echo '{record}' >> /etc/nixos/dynamic.nix")
    status, said = machine.execute("apply-dynamic-configuration 2>&1")
    t.assertNotEqual(status, 0)
    assert "no such luck" in said, said
    t.assertEqual(workers(), 9)
