# Logs (paths) on top of a static value: for each the effective value of services.x.settings, or null where the module
# system refuses it.
{ lib, static }:
let
  inherit (import ../../modules/dynamicism/definitions.nix { inherit lib; }) toModule;
  inherit
    (import ./formats.nix {
      inherit lib;
      pkgs = { };
    })
    json
    ;

  evaluate =
    log:
    (lib.evalModules {
      modules = [
        { options.services.x.settings = lib.mkOption { type = lib.types.attrsOf (json { }).type; }; }
        { services.x.settings = static; }
        (toModule {
          inherit log;
          arguments = {
            inherit lib;
            config = { };
            pkgs = { };
          };
        })
      ];
    }).config.services.x.settings;
in
map (
  log:
  let
    effective = evaluate log;
    result = builtins.tryEval (builtins.deepSeq effective effective);
  in
  if result.success then result.value else null
)
