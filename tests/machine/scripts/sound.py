"""After an apply it is found out in the background whether a rebuild would change more; the apply does not wait for it.

The evaluator is the real one. The configuration that it evaluates is made here: what a rebuild would change follows
harmonia's workers beyond 8, and it takes the evaluator some seconds to say so.
"""

import json
import time

CONFIGURATION = r"""
let
  nothing = { changed = { }; compared = 1; failedAssertions = [ ]; newWarnings = [ ]; version = 1; };
  static = { workers = 4; max_connection_rate = 256; };
  settings = values: { options."services.harmonia.settings" = values; files = { }; };
  slow = builtins.foldl' (sum: number: sum + number) 0 (builtins.genList (number: number) 1500000);
  workers = overrides: builtins.filter (one: one.path == [ "services" "harmonia" "settings" "workers" ]) overrides;
  effective =
    overrides:
    static // builtins.listToAttrs (map (one: { name = builtins.elemAt one.path 3; inherit (one) value; }) overrides);
in
{
  config.lib.dynamicism = {
    verify =
      { overrides, ... }:
      builtins.seq slow (
        nothing
        // {
          services.harmonia = { before = settings static; after = settings (effective overrides); };
          changed =
            if builtins.any (one: one.value > 8) (workers overrides) then
              { etc."workers.conf" = { before = "4"; after = "more"; }; }
            else
              { };
        }
      );
    prove = { skip, ... }: {
      version = 2;
      generated = "BUILT";
      parts = 1;
      services.harmonia = {
        flows.etc = [ "workers.conf" ];
        paths = [
          { path = [ "services" "harmonia" "settings" "workers" ]; flows.etc = [ "workers.conf" ]; }
          { path = [ "services" "harmonia" "settings" "max_connection_rate" ]; flows = { }; }
        ];
      };
    };
  };
}
"""
WORKERS = "services.harmonia.settings.workers"


def verified(record: int) -> dict:
    """The verdict on the state after a record, once it is there."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        found = json.loads(machine.succeed("dynix status --json")).get("verified")
        if found is not None and found["record"] >= record:
            return found
        time.sleep(0.2)
    raise AssertionError(f"nothing is found of record {record}:\n{machine.succeed('journalctl -b | tail -n 50')}")


def started() -> int:
    """How many evaluations there were."""
    return int(machine.succeed("journalctl -b -o cat | grep -c '^sound: \\|^not sound: ' || true"))


start_all()
machine.wait_for_unit("harmonia.service")
built = machine.succeed("dirname $(realpath /etc/dynix/plan.json)").strip()
machine.succeed(f"cat > /etc/nixos/system.nix <<'END'\n{CONFIGURATION.replace('BUILT', built)}\nEND")
policy = json.loads(machine.succeed("cat /etc/dynix/plan.json"))["verify"]

with subtest("an apply does not wait for the evaluator"):
    began = time.monotonic()
    machine.succeed(f"dynix append {WORKERS} 5 --apply")
    took = time.monotonic() - began
    unit = machine.succeed("systemctl list-units --plain --no-legend 'dynix-verify-*' | cut -d ' ' -f 1").strip()
    # OK is below 5.0.
    machine.succeed(f"systemd-analyze security --no-pager --threshold=49 {unit}")
    found = verified(1)
    assert time.monotonic() - began > took, "it was found before the apply was done"
    t.assertEqual(found["verdict"], "sound")
    assert not found["byProof"], found
    machine.succeed("test -e /var/cache/dynix/proof.json")

with subtest("what follows the proof needs no evaluation"):
    machine.succeed("dynix reset", "dynix append services.harmonia.settings.max_connection_rate 9 --apply")
    found = json.loads(machine.succeed("dynix status --json"))["verified"]
    t.assertEqual((found["verdict"], found["byProof"]), ("sound", True))
    said = machine.succeed(f"dynix append {WORKERS} 6 --apply 2>&1")
    assert f"{WORKERS} also decides /etc/workers.conf" in said, said
    last = json.loads(machine.succeed("dynix log --json"))[-1]["id"]
    t.assertEqual(verified(last)["verdict"], "sound")

with subtest("a change that a rebuild would not agree with is told, or taken back"):
    # The first of the two is proven to change nothing else.
    machine.succeed("dynix append services.harmonia.settings.max_connection_rate 7", f"dynix append {WORKERS} 20 --apply")
    last = json.loads(machine.succeed("dynix log --json"))[-1]["id"]
    if policy == "rollback":
        machine.wait_until_succeeds("dynix log --json | grep -q workers.conf", timeout=300)
        record = next(one for one in json.loads(machine.succeed("dynix log --json")) if one["id"] == last)
        assert "/etc/workers.conf" in json.dumps(record), record
        machine.wait_until_succeeds(f"test $(dynix get {WORKERS}) = 6", timeout=60)
        machine.wait_until_succeeds("grep -q 'workers = 6' /run/dynix/harmonia/current/harmonia.toml", timeout=60)
        t.assertEqual(machine.succeed("dynix get services.harmonia.settings.max_connection_rate"), "7\n")
    else:
        found = verified(last)
        t.assertEqual(found["verdict"], "unsound")
        t.assertEqual(found["findings"], [{"kind": "etc", "name": "workers.conf", "changes": ["4 -> more"]}])
        said = "a rebuild would also change /etc/workers.conf: 4 -> more"
        assert said in machine.succeed("dynix status"), machine.succeed("dynix status")
        assert said in machine.succeed("journalctl -b -o cat -p warning"), "it is not in the journal"
        t.assertEqual(machine.execute("dynix verify")[0], 6)

with subtest("a change on trial is looked at as well, and where it is taken back, its trial is over"):
    machine.succeed(f"dynix append {WORKERS} 30 --apply --confirm 100s")
    if policy == "rollback":
        machine.wait_until_succeeds("grep -q 'workers = 6' /run/dynix/harmonia/current/harmonia.toml", timeout=90)
        machine.wait_until_fails("systemctl list-units --all --plain --no-legend 'dynix-confirm-*' | grep .", timeout=10)
        t.assertEqual(machine.execute("dynix confirm")[0], 1)
    else:
        last = json.loads(machine.succeed("dynix log --json"))[-1]["id"]
        found = verified(last)
        t.assertEqual(found["verdict"], "unsound")
        machine.succeed("dynix confirm --revert")

with subtest("many applies cost few evaluations, and the last one is looked at"):
    before = started()
    # An evaluation takes longer than all of the applies, however busy the machine is.
    machine.succeed("sed --in-place s/1500000/9000000/ /etc/nixos/system.nix")
    machine.succeed(*[f"dynix append {WORKERS} {number % 7 + 1} --apply" for number in range(8)])
    last = json.loads(machine.succeed("dynix log --json"))[-1]["id"]
    t.assertEqual(verified(last)["verdict"], "sound")
    machine.wait_until_succeeds("test -z \"$(systemctl list-units --plain --no-legend 'dynix-verify-*')\"", timeout=300)
    assert started() - before < 8, f"{started() - before} evaluations for 8 applies"
    machine.succeed("sed --in-place s/9000000/1500000/ /etc/nixos/system.nix")

with subtest("without an evaluator that works, it is not verified, and status says so"):
    # What runs in the background has another working directory.
    machine.succeed("echo 'throw \"broken\"' > /etc/nixos/system.nix")
    machine.succeed(f"cd /etc/dynix && dynix --plan plan.json append {WORKERS} 3 --apply")
    last = json.loads(machine.succeed("dynix log --json"))[-1]["id"]
    found = verified(last)
    t.assertEqual(found["verdict"], "unverified")
    assert "broken" in found["reason"], found
    t.assertEqual(machine.execute("dynix verify")[0], 1)
