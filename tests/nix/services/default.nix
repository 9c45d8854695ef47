# Services, dynamic, each in a system of its own.
#
# Takes where nixpkgs is (nixpkgs.nix), and which services: cases.nix, what is measured, or machine.nix, what runs in the test
# machine. Gives for each what `measure` and `machine` read: a derivation that is never built, with facts in its environment,
# and the one that `dynix generate` runs in as an input.
{
  nixpkgs ? <nixpkgs>,
  nixpkgsLib ? null,
  current ? null,
  services ? ./cases.nix,
}:
let
  on = import ./nixpkgs.nix { inherit nixpkgs nixpkgsLib current; };
  inherit (on) lib;
  cases = import services { inherit (on) lib pkgs; };

  base = {
    _file = "configuration.nix";
    imports = [ ../../../modules/dynamicism ];
    boot.loader.grub.device = "nodev";
    fileSystems."/".device = "/dev/sda";
    system.stateVersion = "20.09";
    dynamicism.evaluator = null;
  };

  evaluated =
    name: case:
    let
      system = on.nixos [
        base
        (case.module or { })
        {
          services = case.services or { };
          dynamicism.for.${name} = {
            enable = true;
          }
          // case.dynamic or { };
        }
      ];
      described = system.config.dynamicism.description.services.${name};
      options = lib.attrNames described.options;
      option = lib.attrByPath (lib.splitString "." (lib.head options)) null system.options;
      # What the case says, else those in which the file is looked for.
      unitNames = case.units or (lib.attrNames (described.find.units or described.units));
      text = unit: system.config.systemd.units.${unit}.text or "";
    in
    {
      inherit (system) config pkgs;
      measured = derivation {
        inherit name;
        system = "x86_64-linux";
        builder = "/bin/sh";
        inherit (system.config.dynamicism) generated;
        texts = map text unitNames;
        facts = builtins.toJSON {
          # Without context: nothing more is to be built for them.
          units = lib.genAttrs unitNames (unit: builtins.unsafeDiscardStringContext (text unit));
          type = if option == null then "" else option.type.description or "";
          inherit (case) machine;
        };
      };
    };
in
{
  # What more than one line each service has: what `dynamicism.for.NAME` is told besides `enable`.
  dynamic = lib.mapAttrs (_: case: case.dynamic or { }) cases;
  # All that are named, in one system: for `dynix prove`, which has to evaluate a system several times.
  together =
    names:
    on.nixos (
      [ base ]
      ++ lib.concatMap (name: [
        (cases.${name}.module or { })
        {
          services = cases.${name}.services or { };
          dynamicism.for.${name} = {
            enable = true;
          }
          // cases.${name}.dynamic or { };
        }
      ]) names
    );
  # What is known of those that one line is not enough for.
  takes = lib.mapAttrs (_: case: case.takes) (lib.filterAttrs (_: case: case ? takes) cases);
  systems = lib.mapAttrs (name: case: evaluated name ({ machine = { }; } // case)) cases;
}
