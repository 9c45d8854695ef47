# How dynix evaluates the configuration: the program, and where the sources of the configuration are on the machine.
{
  config,
  lib,
  options,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.dynamicism;
  # What nixos-rebuild builds may be named in <nixos-system>, or be /etc/nixos/system.nix (nixpkgs#493229).
  knowsEntryPoints = lib.versionAtLeast config.system.nixos.release "26.05";

  # Where the sources of this configuration are on the machine. A directory has the same path whether it is the one that is
  # deployed or the one in the store.
  sources =
    let
      given = cfg.configuration;
      isFlake = given ? inputs;
      place =
        if isFlake then
          "${given}"
        else
          "${builtins.path {
            path = given;
            name = "configuration";
          }}";
      # What the flake may say of itself besides its content.
      about = lib.concatMap (name: lib.optional (given ? ${name}) "${name}=${toString given.${name}}") [
        "lastModified"
        "rev"
      ];
    in
    if given == null then
      {
        place = "/etc/nixos";
        flake = "/etc/nixos";
        given = "";
        all = [ ];
      }
    else
      {
        inherit place;
        flake =
          "path:${place}" + lib.optionalString (isFlake && about != [ ]) "?${lib.concatStringsSep "&" about}";
        given = "configuration = ${place}/configuration.nix;";
        all = [ place ] ++ lib.optionals isFlake (inputsOf [ ] (lib.attrValues given.inputs));
      };
  # The sources of a flake's inputs, and of theirs.
  inputsOf =
    found: inputs:
    lib.foldl' (
      found: input:
      if lib.elem "${input}" found then
        found
      else
        inputsOf (found ++ [ "${input}" ]) (lib.attrValues (input.inputs or { }))
    ) found inputs;
in
{
  options.dynamicism = {
    evaluator = mkOption {
      type = types.nullOr (
        types.submodule {
          options = {
            command = mkOption {
              type = types.nonEmptyListOf types.str;
              description = "Program and arguments. dynix appends `--expr EXPRESSION`. The program has to print JSON.";
            };
            arguments = mkOption {
              type = types.str;
              description = "A Nix expression for the attribute set (`config`, `lib`, `pkgs`) that the log is applied to.";
            };
            deadline = mkOption {
              type = types.numbers.positive;
              default = 60;
              description = ''
                Seconds after which dynix ends the evaluation of an expression. An evaluation of the whole system
                (`dynamicism.options`, `dynix verify` and `prove`) may take ten times as long.
              '';
            };
          };
        }
      );
      default =
        if config.nix.enable or true then
          {
            command = [
              "${config.nix.package.out}/bin/nix-instantiate"
              "--eval"
              "--strict"
              "--json"
            ]
            # It sees no NIX_PATH, as at boot there is none.
            ++ lib.concatMap (place: [
              "-I"
              place
            ]) config.nix.nixPath
            ++ [
              "--extra-experimental-features"
              "flakes"
            ];
            # Where nixos-rebuild looks for it, if it is not a part of the system.
            arguments = ''
              let
                flake = builtins.getFlake ${builtins.toJSON sources.flake};
                host = ${builtins.toJSON config.networking.hostName};
            ''
            + lib.optionalString knowsEntryPoints ''
              entry = place:
                let
                  given = import (if builtins.pathExists (place + "/system.nix") then place + "/system.nix" else place);
                  found = if builtins.isFunction given then given { } else given;
                in
                if found ? config then found else found.''${host};
              named = builtins.tryEval <nixos-system>;
            ''
            + ''
              nixos =
                if builtins.pathExists ${sources.place}/flake.nix then flake.nixosConfigurations.''${host}
            ''
            + lib.optionalString (knowsEntryPoints && cfg.configuration == null) ''
              else if named.success then entry named.value
            ''
            + lib.optionalString knowsEntryPoints ''
              else if builtins.pathExists ${sources.place}/system.nix then entry ${sources.place}/system.nix
            ''
            + ''
                  else import <nixpkgs/nixos> { ${sources.given} };
              in
              { inherit (nixos) config pkgs; inherit (nixos.pkgs) lib; }
            '';
          }
        else
          null;
      defaultText = lib.literalMD ''
        `nix-instantiate`, on the same system as `nixos-rebuild`: the one of this `networking.hostName` in the flake in
        /etc/nixos; without a flake, (from NixOS 26.05 on) that of `<nixos-system>` or /etc/nixos/system.nix; else that of
        `<nixpkgs/nixos>`. With `dynamicism.configuration`, that one. Null if `nix.enable` is false
      '';
      description = ''
        The program that evaluates overrides that are Nix expressions rather than plain values (`dynix append --expr`). With
        null, dynix refuses such overrides.
      '';
    };

    configuration = mkOption {
      type = types.nullOr (
        lib.mkOptionType {
          name = "sources";
          description = "path or flake";
          check = given: builtins.isPath given || builtins.isString given || given ? outPath;
          merge = lib.mergeOneOption;
        }
      );
      default = null;
      example = lib.literalExpression "self";
      description = ''
        The sources of this system's configuration, for a host that has none in /etc/nixos because it is deployed from
        elsewhere. They become a part of the system, and dynix evaluates them. It is a flake (`self`, with its inputs), or a
        directory (`./.`) with system.nix (from NixOS 26.05 on) or configuration.nix, which needs `nixpkgs` in `nix.nixPath`.
      '';
    };
  };

  config = lib.optionalAttrs (options ? system.extraDependencies) {
    system.extraDependencies = lib.mkIf (cfg.isUsed && cfg.configuration != null) sources.all;
  };
}
