# Generated files under other paths, that their content has no part in.
#
# A unit names the files that Nix generated for it, and with other values those are others, as are the scripts that name
# them. Where the files have one path whatever is in them, what still differs is something else.
{ lib }:
let
  inherit (builtins)
    head
    isFunction
    listToAttrs
    mapAttrs
    replaceStrings
    stringLength
    substring
    ;

  # The derivation's name of a store path, or of one below it.
  nameOf =
    path: head (lib.splitString "/" (substring (stringLength builtins.storeDir + 34) (-1) path));
  # The store path of one below it.
  rootOf = path: substring 0 (stringLength builtins.storeDir + 34 + stringLength (nameOf path)) path;

  # Another path for a generated file.
  renamed = path: "${builtins.storeDir}/11111111111111111111111111111111-${nameOf path}";

  # `pkgs`, where what makes one of `files` does not ask for its content and gives another path.
  pkgsWith =
    pkgs: files:
    let
      paths = listToAttrs (map (path: lib.nameValuePair (nameOf path) (renamed path)) files);
      named =
        name: otherwise:
        if paths ? ${name} then
          {
            type = "derivation";
            inherit name;
            outPath = paths.${name};
            drvPath = "${paths.${name}}.drv";
            outputName = "out";
          }
        else
          otherwise;
      format =
        make: parameters:
        let
          made = make parameters;
        in
        made // { generate = name: value: named name (made.generate name value); };
      ofTwo =
        maker: name: text:
        named name (pkgs.${maker} name text);
      ofThree =
        maker: name: environment: text:
        named name (pkgs.${maker} name environment text);
    in
    pkgs
    // {
      formats = mapAttrs (_: make: if isFunction make then format make else make) pkgs.formats;
      writeTextFile = given: named given.name (pkgs.writeTextFile given);
    }
    // lib.genAttrs [
      "writeScript"
      "writeShellScript"
      "writeText"
    ] ofTwo
    // lib.genAttrs [
      "runCommand"
      "runCommandLocal"
    ] ofThree;
in
{
  # A module of which all that is generated has these files under other paths.
  replacing = pkgs: files: {
    _file = "dynix";
    # It is given with a priority of its own, in different ways.
    _module.args.pkgs = lib.mkOverride (-1) (pkgsWith pkgs files);
  };

  # A text in which these files have their own paths again.
  rename = files: replaceStrings (map renamed files) (map rootOf files);
}
