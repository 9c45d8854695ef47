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
  names = lib.attrNames evaluated.nodes;
  # The driver's network gives these addresses.
  addresses = lib.listToAttrs (
    lib.imap1 (number: name: lib.nameValuePair name "192.168.1.${toString number}") names
  );
  hosts = lib.concatStrings (lib.mapAttrsToList (name: address: "${address} ${name}\n") addresses);
  nodes = lib.mapAttrs (
    name: module:
    import ./nixos/lib/eval-config.nix {
      inherit system;
      modules = [
        ./machine.nix
        evaluated.defaults
        module
        {
          # As where machines are virtual: the networks that it is plugged into.
          options.virtualisation.vlans = lib.mkOption {
            type = lib.types.listOf lib.types.ints.unsigned;
            default = [ 1 ];
          };
        }
        {
          networking.hostName = lib.mkDefault name;
          networking.extraHosts = lib.mkIf (lib.length names > 1) hosts;
        }
      ];
    }
  ) evaluated.nodes;
in
runCommand evaluated.name
  {
    inherit (evaluated) testScript;
    passAsFile = [ "testScript" ];
    networked = lib.filter (name: nodes.${name}.config.virtualisation.vlans != [ ]) names;
    links = lib.mapAttrsToList (name: node: "${name}=${node.config.system.build.toplevel}") nodes;
    passthru = { inherit nodes; };
  }
  ''
    mkdir -p $out/systems
    for link in $links; do
      ln -s ''${link#*=} $out/systems/''${link%%=*}
    done
    echo $networked > $out/networked
    cp $testScriptPath $out/script.py
  ''
