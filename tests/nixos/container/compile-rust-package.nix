# rustPlatform.buildRustPackage that compiles and tests in Nix's sandbox, with a toolchain at /toolchain and the crates that
# `cargo vendor` laid out at /vendor: what nixpkgs does with the same arguments, phase by phase (pkgs/build-support/rust/hooks).
{
  lib,
  stdenvNoCC,
  compiler,
  # What rustc says of itself. The toolchain lies outside of the store: this stands for it.
  version,
}:
argument:
let
  self = lib.fix (
    final:
    argument final
    // {
      finalPackage = package;
    }
  );
  target = "${stdenvNoCC.hostPlatform.parsed.cpu.name}-unknown-linux-gnu";
  words = "-j $NIX_BUILD_CORES --offline --locked --target ${target}";
  package = stdenvNoCC.mkDerivation (
    removeAttrs self [
      "cargoLock"
      "cargoTestFlags"
      "finalPackage"
      "nativeCheckInputs"
      "nativeInstallCheckInputs"
      "passthru"
    ]
    // {
      toolchain = version;
      nativeBuildInputs =
        self.nativeBuildInputs or [ ]
        ++ self.nativeCheckInputs or [ ]
        ++ self.nativeInstallCheckInputs or [ ]
        ++ [ compiler ];
      NIX_MAIN_PROGRAM = self.meta.mainProgram;
      # cargo has done it.
      dontStrip = true;
      dontPatchELF = true;
      configurePhase = ''
        runHook preConfigure
        export PATH=$PATH:/toolchain/bin CARGO_HOME=$TMPDIR/cargo
        mkdir $CARGO_HOME
        printf '[source.crates-io]\nreplace-with = "vendored"\n[source.vendored]\ndirectory = "/vendor"\n' > $CARGO_HOME/config.toml
        echo "in the sandbox: $(id), $(rustc --version), of / only" /*
        runHook postConfigure
      '';
      buildPhase = ''
        runHook preBuild
        cargo build ${words} --profile ${self.buildType}
        echo "built in $SECONDS s"
        runHook postBuild
      '';
      doCheck = true;
      checkPhase = ''
        runHook preCheck
        SECONDS=0
        cargo test ${words} --profile ${self.checkType} ${lib.escapeShellArgs self.cargoTestFlags} -- --test-threads=$NIX_BUILD_CORES
        echo "checked in $SECONDS s"
        runHook postCheck
      '';
      installPhase = ''
        runHook preInstall
        mkdir -p $out/bin
        find target/${target}/${self.buildType} -maxdepth 1 -type f -executable -exec cp --target-directory $out/bin {} +
        runHook postInstall
      '';
    }
  );
in
package
