# testers.runNixOSTest, as far as a machine that is a container goes: what it builds is the machine's system and the script,
# for a driver that boots the one and runs the other.
{
  lib,
  runCommand,
  system,
}:
test:
let
  evaluated =
    (lib.evalModules {
      modules = [
        test
        {
          options = {
            name = lib.mkOption { type = lib.types.str; };
            nodes = lib.mkOption { type = lib.types.lazyAttrsOf lib.types.deferredModule; };
            defaults = lib.mkOption {
              type = lib.types.deferredModule;
              default = { };
            };
            testScript = lib.mkOption { type = lib.types.str; };
            skipTypeCheck = lib.mkOption {
              type = lib.types.bool;
              default = false;
            };
          };
        }
      ];
    }).config;
  nodes = lib.mapAttrs (
    name: module:
    import ./nixos/lib/eval-config.nix {
      inherit system;
      modules = [
        ./machine.nix
        evaluated.defaults
        module
        { networking.hostName = lib.mkDefault name; }
      ];
    }
  ) evaluated.nodes;
in
runCommand evaluated.name
  {
    inherit (evaluated) testScript;
    passAsFile = [ "testScript" ];
    toplevel = nodes.machine.config.system.build.toplevel;
    passthru = { inherit nodes; };
  }
  ''
    mkdir $out
    ln -s $toplevel $out/system
    cp $testScriptPath $out/script.py
  ''
