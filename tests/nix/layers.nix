# Which overrides hold where sources say something too: the fold in Nix against cases that Rust's fold is held against as well
# (tests/suite/fold.rs).
{ lib }:
let
  inherit (import ../../modules/dynamicism/definitions.nix { inherit lib; }) overrides;
  asLog = records: { overrides, ... }: builtins.foldl' (log: record: log record) overrides records;
in
map (
  case:
  let
    given =
      map
        (one: [
          one.path
          one.value
        ])
        (overrides {
          log = asLog case.records;
          inherit (case) sources;
        });
  in
  {
    inherit (case) name;
    inherit given;
    expected = case.holds;
    agrees = given == case.holds;
  }
)
