# nixpkgs' own nixosOptionsDoc renders the options of a whole system, as for the manual: what it says of dynix's is what
# docs/options.md says.
{
  nodes.machine =
    { pkgs, ... }:
    {
      imports = [ ./subject.nix ];
      # What it is made with is there then.
      system.extraDependencies = [ (pkgs.nixosOptionsDoc { options = { }; }).optionsJSON ];
    };

  testScript =
    builtins.readFile ./subject.py
    + builtins.readFile ./rebuild.py
    + ''
      import re

      DOC = """
        let
          nixos = import <nixpkgs/nixos> { configuration.imports = [ /etc/nixos/configuration.nix ]; };
          doc = nixos.pkgs.nixosOptionsDoc { options = { inherit (nixos.options) dynamicism; }; };
        in
        { json = doc.optionsJSON; hasMarkdown = doc ? optionsCommonMark; markdown = doc.optionsCommonMark or null; }
      """


      def text(value) -> str:
          return (value.get("text", "") if isinstance(value, dict) else str(value)).strip()


      def squeezed(words: str) -> str:
          return " ".join(words.split())


      if can_rebuild():
          configure("")
          machine.succeed(f"cat > /root/doc.nix <<'END'\n{DOC}\nEND")
          built = machine.succeed("nix-build --no-out-link /root/doc.nix --attr json", timeout=300).strip()
          rendered = json.loads(machine.succeed(f"cat {built}/share/doc/nixos/options.json"))
          page = machine.succeed("cat /dynix/docs/options.md")
          sections = {}
          for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
              name, _, body = section.partition("\n")
              sections[name.replace("\\<", "<").replace("\\>", ">")] = body

          with subtest("the same options"):
              t.assertEqual(sorted(rendered), sorted(sections))

          for name, option in rendered.items():
              body = squeezed(sections[name])
              with subtest(name):
                  assert squeezed(text(option["description"])) in body, option["description"]
                  assert f"- Type: {squeezed(text(option['type']))}" in body, option["type"]
                  t.assertEqual(option.get("readOnly", False), "- Read-only." in body)
                  for part in ["default", "example"]:
                      t.assertEqual(part in option, f"- {part.capitalize()}:" in body)
                      if isinstance(option.get(part), dict) and "_type" in option[part]:
                          assert squeezed(text(option[part])) in body, option[part]

          with subtest("as a page"):
              if machine.succeed("nix-instantiate --eval /root/doc.nix --attr hasMarkdown").strip() == "true":
                  markdown = machine.succeed("cat $(nix-build --no-out-link /root/doc.nix --attr markdown)", timeout=300)
                  print(markdown)
                  headings = re.findall(r"^## (.*)$", markdown, flags=re.MULTILINE)
                  t.assertEqual(sorted(re.sub(r"\\(.)", r"\1", one) for one in headings), sorted(rendered))
              else:
                  print("SKIPPED: this nixpkgs renders no CommonMark")
    '';
}
