# docs/options.md: the reference of the module's options, from the module itself.
{ lib }:
let
  text = value: if builtins.isString value then value else value.text or (toString value);

  # As a person would write it; `literalExpression` and `literalMD` as they are.
  shown =
    value:
    let
      code =
        if value._type or null == "literalExpression" then
          lib.trim value.text
        else
          lib.generators.toPretty { } value;
    in
    if value._type or null == "literalMD" then
      " ${value.text}"
    else if lib.hasInfix "\n" code then
      "\n\n  ```nix\n  ${lib.replaceStrings [ "\n" ] [ "\n  " ] code}\n  ```"
    else
      " `${code}`";

  entry = option: ''
    ## ${lib.replaceStrings [ "<" ">" ] [ "\\<" "\\>" ] option.name}

    ${lib.trim (text option.description)}

    - Type: ${option.type}
    ${lib.optionalString (option ? default) "- Default:${shown option.default}\n"}${
      lib.optionalString (option ? example) "- Example:${shown option.example}\n"
    }${lib.optionalString option.readOnly "- Read-only.\n"}'';

  # The module's options without a system: what they are made from is not evaluated for the reference.
  evaluated = lib.evalModules {
    modules = [
      ../../modules/dynamicism
      {
        _module.check = false;
        _module.args.pkgs = throw "the option reference does not need packages";
      }
    ];
  };

  options = lib.filter (option: option.visible && !option.internal) (
    lib.optionAttrSetToDocList evaluated.options.dynamicism
  );
in
''
  # Options

  Generated from modules/dynamicism by `tests/nix/run --write`; don't edit.

  ${lib.concatMapStringsSep "\n" entry options}''
