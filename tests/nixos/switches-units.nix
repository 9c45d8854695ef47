# Applies and switches at the same time, where units take the place of activation scripts.
let
  test = import ./switches.nix;
in
test
// {
  nodes.machine = {
    imports = [ test.nodes.machine ];
    dynamicism.activation = "units";
  };
}
