# The fold in Nix against cases that were computed with the module system: for each case the effective value, or that the
# module system refuses it.
{ lib }:
let
  inherit (import ../../modules/dynamicism/definitions.nix { inherit lib; }) toModule;

  # As a log gives them: one application after the other.
  asLog = records: { overrides, ... }: builtins.foldl' (log: record: log record) overrides records;

  value =
    (lib.types.nullOr (
      lib.types.oneOf [
        lib.types.bool
        lib.types.int
        lib.types.float
        lib.types.str
        (lib.types.attrsOf value)
        (lib.types.listOf value)
      ]
    ))
    // {
      description = "value";
    };

  evaluate =
    { static, records, ... }:
    (lib.evalModules {
      modules = [
        { options.settings = lib.mkOption { type = lib.types.attrsOf value; }; }
        { settings = static; }
        {
          imports = [
            (
              let
                module = toModule { log = asLog records; };
              in
              {
                inherit (module) _file;
                config.settings = module.config;
              }
            )
          ];
        }
      ];
    }).config.settings;
in
cases:
map (
  case:
  let
    result = builtins.tryEval (
      let
        effective = evaluate case;
      in
      builtins.deepSeq effective effective
    );
    given = if result.success then { effective = result.value; } else { must_fail = true; };
    expected = if case.must_fail or false then { must_fail = true; } else { inherit (case) effective; };
  in
  {
    inherit (case) name;
    inherit given expected;
    agrees = given == expected;
  }
) cases
