# The services that are measured, each as somebody would have it.
#
# `services` is the configuration; `module` more of it, where that is needed; `dynamic` what `dynamicism.for.NAME` is told
# besides `enable`. Without `dynamic.options`, services.NAME.settings is meant.
{ lib, pkgs }:
let
  arguments = {
    inherit pkgs;
    # Where a secret would be.
    secret = "/run/secrets/example";
    # Whose settings have another name: it has to be given.
    as = option: { options = [ option ]; };
  };
in
lib.concatMapAttrs (file: _: import (./cases + "/${file}") arguments) (builtins.readDir ./cases)
