# remarshal of PyPI, laid out by the driver in pypi/VERSION.
{
  take,
  python,
  version,
}:
take {
  name = "remarshal";
  inherit version;
  trees."lib/python" = toString (./pypi + "/${version}");
  finish = ''
    for from in json toml yaml; do
      for to in json toml yaml; do
        printf '#!%s\nimport sys\nsys.path.insert(0, "%s")\nsys.argv[0] = "%s2%s"\nfrom remarshal import main\nsys.exit(main())\n' \
          "${python}" "$out/lib/python" $from $to > bin/''${from}2$to
      done
    done
    sed 's|sys.argv\[0\] = .*|sys.argv[0] = "remarshal"|' bin/json2json > bin/remarshal
    chmod +x bin/*
  '';
}
