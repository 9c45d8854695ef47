# A secret at boot, where units take the place of activation scripts.
let
  test = import ./secret.nix;
in
test
// {
  nodes.machine = {
    imports = [ test.nodes.machine ];
    dynamicism.activation = "units";
  };
}
