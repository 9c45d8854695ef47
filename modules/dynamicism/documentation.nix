# What an option's module says of it to people: for `dynix options`, and for nothing that decides anything.
#
# Takes an option and a function that names source files; gives a list, the option itself first, then the options of its
# submodules: `{ path, description, default, example, declaredIn }`, what there is of them. `path` is below the option;
# `<name>` and `*` stand in it for any name and any element, as in NixOS's manual.
{ lib, sourceFile }:
let
  # A text as it is written in the manual, without what would have to be built for it.
  textOf =
    value:
    builtins.unsafeDiscardStringContext (
      if lib.isString value then
        value
      else if value._type or null != null && value ? text then
        value.text
      else
        lib.generators.toPretty { allowPrettyValues = true; } value
    );

  # An example or a default is a value, or the text of one.
  valueOf =
    value:
    builtins.unsafeDiscardStringContext (
      if value._type or null != null && value ? text then
        value.text
      else
        lib.generators.toPretty { allowPrettyValues = true; } value
    );

  below =
    path: option:
    let
      names = lib.drop (lib.length path) option.loc;
      shown =
        option.visible or true == true && !(option.internal or false) && !(lib.elem "_module" option.loc);
      options = lib.collect lib.isOption (option.type.getSubOptions option.loc);
    in
    lib.optionals (names == [ ] || shown) (
      [
        (
          {
            path = names;
            declaredIn = map sourceFile (lib.remove "<unknown-file>" (option.declarations or [ ]));
          }
          // lib.optionalAttrs (option ? description && option.description != null) {
            description = textOf option.description;
          }
          // lib.optionalAttrs (option ? defaultText) { default = valueOf option.defaultText; }
          // lib.optionalAttrs (option ? example) {
            example = builtins.addErrorContext "while evaluating the example of the option `${lib.showOption option.loc}`" (
              valueOf option.example
            );
          }
        )
      ]
      ++ lib.concatMap (below path) (lib.filter (one: one ? loc) options)
    );
in
option: below option.loc option
