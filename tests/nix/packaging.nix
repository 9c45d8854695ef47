# package.nix, default.nix, flake.nix and shell.nix, with just enough of a nixpkgs to see how they fit together: what
# builds is nixpkgs' business, and another's machine.
{ lib }:
let
  pkgs = {
    inherit lib;
    # Shows its fileset rather than copy it.
    callPackage =
      file: arguments:
      let
        function = import file;
        given = pkgs // {
          lib = lib // {
            fileset = lib.fileset // {
              toSource = source: source;
            };
          };
        };
      in
      # As nixpkgs' callPackage does.
      function (lib.intersectAttrs (lib.functionArgs function) given // arguments)
      // {
        override = _: null;
        overrideDerivation = _: null;
      };
    rustPlatform.buildRustPackage =
      attributes: lib.fix (self: attributes (self // { finalPackage = self; }));
    stdenv = {
      buildPlatform.canExecute = _: true;
      hostPlatform = { };
    };
    installShellFiles = "installShellFiles";
    versionCheckHook = "versionCheckHook";
    getent = "getent";
    testers.runNixOSTest = test: test.name;
    linkFarm = _: entries: entries;
    mkShell = shell: shell;
    clippy = "clippy";
    mmdebstrap = "mmdebstrap";
    nixfmt = "nixfmt";
    nixfmt-tree = "nixfmt-tree";
    python3 = "python3";
    rust-analyzer = "rust-analyzer";
    rustfmt = "rustfmt";
  };

  default = import ../../default.nix { inherit pkgs; };
  flake = import ../../flake.nix;
  outputs = flake.outputs {
    self = outputs;
    nixpkgs = {
      inherit lib;
      legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (_: pkgs);
    };
  };
  system = "x86_64-linux";
  names = lib.attrNames;
in
{
  package = {
    inherit (default.dynix) pname version;
    inherit (default.dynix.meta) mainProgram;
  };
  sources = map (file: lib.removePrefix "${toString ../..}/" (toString file)) (
    lib.fileset.toList default.dynix.src.fileset
  );
  tests = names default.tests;
  all = names default.allTests;
  flake = {
    input = flake.inputs.nixpkgs.url;
    tests = names outputs.legacyPackages.${system}.tests;
    checks = names outputs.checks.${system};
    package = outputs.packages.${system}.default.pname;
    formatter = outputs.formatter.${system};
    shell = outputs.devShells.${system}.default.packages;
    module = outputs.nixosModules.default == default.nixosModules.default;
    mkDynamic = (lib.extend outputs.lib.overlay).mkDynamic 4 == lib.mkOverride 950 4;
  };
}
