# rustPlatform.buildRustPackage with programs that are there already, those in programs/: all of the package but the
# compiler's work and the tests.
{ lib, stdenvNoCC }:
argument:
let
  self = lib.fix (
    final:
    (if lib.isFunction argument then argument final else argument)
    // {
      finalPackage = package;
    }
  );
  package = stdenvNoCC.mkDerivation (
    removeAttrs self [
      "cargoLock"
      "finalPackage"
      "nativeCheckInputs"
      "nativeInstallCheckInputs"
      "passthru"
    ]
    // {
      nativeBuildInputs = self.nativeBuildInputs or [ ] ++ self.nativeInstallCheckInputs or [ ];
      dontConfigure = true;
      dontStrip = true;
      dontPatchELF = true;
      NIX_MAIN_PROGRAM = self.meta.mainProgram;
      buildPhase = "echo 'compiled before: ${./programs}'";
      installPhase = ''
        runHook preInstall
        install -Dm755 --target-directory=$out/bin ${./programs}/*
        runHook postInstall
      '';
      passthru = self.passthru or { };
    }
  );
in
package
