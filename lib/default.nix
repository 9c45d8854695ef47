# What configurations use of dynix besides its module. Plain functions, no packages.
rec {
  # A default that also marks its option path as one that may change at run time.
  inherit (import ../modules/dynamicism/mk-dynamic.nix) mkDynamic;

  # For `lib.extend`: afterwards `lib.mkDynamic` is there in every module that gets this lib.
  overlay = _final: _previous: { inherit mkDynamic; };
}
