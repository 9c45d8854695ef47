# rustPlatform.buildRustPackage with a program that is there already, programs/NAME: all of the package but the compiler's work
# and the tests.
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
  program = ./programs + "/${self.pname}";
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
      buildPhase = "echo 'compiled before: ${program}'";
      installPhase = ''
        runHook preInstall
        install -Dm755 ${program} $out/bin/${self.pname}
        runHook postInstall
      '';
      passthru = self.passthru or { };
    }
  );
in
package
