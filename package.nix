{
  lib,
  stdenv,
  rustPlatform,
  installShellFiles,
  versionCheckHook,
  getent,
  # Not in a nixpkgs of before 2023, which has no such tests.
  testers ? null,
  # A static PIE: a third fewer page faults at every start (docs/performance.md, Linking). Not built with nixpkgs yet.
  static ? false,
}:
let
  toml = lib.importTOML ./Cargo.toml;
  manifest = toml.package // toml.workspace.package;
in
rustPlatform.buildRustPackage (finalAttrs: {
  pname = manifest.name;
  # What talks to a network is apart: a host without sources does not have it.
  outputs = [
    "out"
    "agent"
  ];
  inherit (manifest) version;

  src = lib.fileset.toSource {
    root = ./.;
    fileset = lib.fileset.unions [
      ./Cargo.lock
      ./Cargo.toml
      ./LICENSE
      ./agent
      ./THIRD-PARTY-NOTICES
      ./benches
      ./deny.toml
      ./descriptions
      ./docs
      ./examples
      ./fuzz/corpus
      ./formats
      ./src
      ./templates
      # The crate's own tests; those of the NixOS side would rebuild it with every change of theirs.
      (lib.fileset.difference ./tests (
        lib.fileset.unions [
          ./tests/nix
          ./tests/nixos
        ]
      ))
    ];
  };

  cargoLock.lockFile = ./Cargo.lock;

  # Optimised as a whole, which takes minutes: only for what is installed.
  buildType = "dist";
  checkType = "release";

  # What a sandbox can run: its tests want neither root nor programs at fixed paths. The suite (tests/suite) does; `cargo test`
  # runs it, and what needs a machine is in passthru.tests.
  cargoTestFlags = [
    "--workspace"
    "--lib"
  ];

  nativeCheckInputs = [ getent ];

  # For the program alone: as an input of the build, the static library would be found by build scripts too.
  # An empty `env` is no default: older standard environments take it for a variable.
  ${if static && stdenv.hostPlatform.isGnu then "env" else null} = {
    RUSTFLAGS = "-C target-feature=+crt-static -L native=${stdenv.cc.libc.static}/lib";
  };

  nativeBuildInputs = [ installShellFiles ];

  postInstall = ''
    mkdir -p "$agent/bin"
    mv "$out/bin/dynix-agent" "$out/bin/dynix-fleet" "$agent/bin/"
    install -Dm444 src/telemetry/journal/dynix.catalog -t $out/lib/systemd/catalog
    install -Dm444 LICENSE THIRD-PARTY-NOTICES -t $out/share/doc/dynix
  ''
  + lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    installShellCompletion --cmd dynix \
      --bash <($out/bin/dynix completions bash) \
      --fish <($out/bin/dynix completions fish) \
      --zsh <($out/bin/dynix completions zsh)
    installShellCompletion --cmd dynix-fleet \
      --bash <($agent/bin/dynix-fleet completions bash) \
      --fish <($agent/bin/dynix-fleet completions fish) \
      --zsh <($agent/bin/dynix-fleet completions zsh)
    $out/bin/dynix man man
    $agent/bin/dynix-fleet man man
    installManPage man/*
  '';

  doInstallCheck = true;
  nativeInstallCheckInputs = [ versionCheckHook ];
  # The program as it is installed, from a description to values in effect and back, in a directory of its own.
  postInstallCheck = lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    $out/bin/dynix demo > /dev/null
  '';

  # Not by callPackage, which adds functions to them.
  passthru.tests = import ./tests/nixos {
    inherit lib testers;
    dynix = finalAttrs.finalPackage;
  };

  meta = {
    inherit (manifest) description;
    longDescription = ''
      dynix overrides the settings of a NixOS system's services in milliseconds, without a rebuild: the value is checked by
      the option's type, recorded, rendered to the service's own configuration format, and only the units that read it are
      restarted or reloaded.
    '';
    license = lib.licenses.eupl12;
    mainProgram = "dynix";
    platforms = lib.platforms.linux;
  };
})
