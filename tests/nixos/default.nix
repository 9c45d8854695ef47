# The VM tests, each by its name.
#
# Their scripts are those that the machine tests run in containers (tests/machine), where there is one.
{
  lib,
  testers,
  dynix,
  # How a test is run; replaced where only its machines are to be evaluated.
  runTest ? testers.runNixOSTest,
}:
lib.genAttrs
  [
    "after-switch"
    "boot"
    "broken-configuration"
    "complete"
    "crashes"
    "daemon"
    "deploy"
    "deployed"
    "distccd"
    "ends"
    "entry-point"
    "etc-overlay"
    "evaluated"
    "evaluated-layers"
    "evaluated-limits"
    "evaluation"
    "expressions"
    "fail-safe"
    "flake"
    "fleet-git"
    "gotosocial"
    "harmonia"
    "home-manager"
    "log-location"
    "options-page"
    "pre-switch"
    "reapply"
    "rebuild"
    "rebuild-ng"
    "secret"
    "secret-units"
    "services"
    "specialisation"
    "sources"
    "steps"
    "steps-evaluated"
    "switches"
    "switches-units"
    "system-rollback"
    "twin"
    "units"
    "upgrade"
    "userborn"
    "verify-rollback"
    "warm"
    "withdraw"
  ]
  (
    name:
    runTest {
      imports = [ (./. + "/${name}.nix") ];
      name = "dynix-${name}";
      defaults = {
        imports = [ ./machine.nix ];
        dynamicism.package = dynix;
      };
      # The scripts also run in the local driver, whose types are not the test driver's.
      skipTypeCheck = true;
    }
  )
