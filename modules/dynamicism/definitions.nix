# The override log as definitions for the module system.
#
# Takes the log (a path, or its function), gives the overrides that hold and a module that defines them. The fold is the
# same as dynix's own (src/overrides): both have to agree on every case of tests/fixtures/overrides/fold.json.
#
# A log is applied to one record after the other, so `overrides` is a functor that collects its arguments in a linked
# list, read back with genericClosure: linear, and no deep stack however long the log is.
{ lib }:
let
  inherit (builtins)
    attrNames
    elem
    foldl'
    genericClosure
    head
    isAttrs
    seq
    tail
    ;

  # What a module means by it is no plain set: a derivation, a property such as mkIf's.
  isPlainSet = value: isAttrs value && !(value ? _type) && value.type or null != "derivation";

  collect = node: {
    inherit node;
    __functor =
      self: record:
      let
        previous = self.node;
        id = record.id or ((previous.id or 0) + 1);
      in
      # Forced here, one record at a time: a chain of unforced ids would be as deep as the log is long.
      seq id (collect {
        inherit previous record id;
      });
  };

  # The records of a log, newest first: { id, record }.
  records =
    log: arguments:
    let
      last = (log (arguments // { overrides = collect null; })).node;
    in
    if last == null then
      [ ]
    else
      genericClosure {
        startSet = [
          {
            key = last.id;
            node = last;
          }
        ];
        operator =
          { node, ... }:
          if node.previous == null then
            [ ]
          else if node.previous.id >= node.id then
            throw "dynix: record ${toString node.id} comes after record ${toString node.previous.id}; ids have to ascend"
          else
            [
              {
                key = node.previous.id;
                node = node.previous;
              }
            ];
      };

  # Whether a record is about a source: a layer of one, a reject of that, or a reject of such a reject. No rollback of the
  # host leaves it out.
  isAboutSource =
    all:
    let
      known = builtins.listToAttrs (
        map ({ node, ... }: {
          name = toString node.id;
          value = node.record;
        }) (builtins.filter ({ node, ... }: node.record ? source || node.record ? reject) all)
      );
      is =
        id:
        let
          record = known.${toString id} or { };
        in
        record ? source || record ? reject && is record.reject;
    in
    if builtins.any ({ node, ... }: node.record ? source) all then is else _: false;

  # The records that hold: those of the host, oldest first, and the newest layer of each source. Walking back from the
  # newest, a rollback leads to the record that it names, with what lies between left out; a rejected record is left out, be
  # it a rollback or a reject.
  holding =
    all:
    let
      isAbout = isAboutSource all;
    in
    foldl'
      (
        state:
        { node, ... }:
        let
          inherit (node) id record;
        in
        if isAbout id then
          if state.rejected ? ${toString id} then
            state
          else if record ? reject then
            state
            // {
              rejected = state.rejected // {
                ${toString record.reject} = true;
              };
            }
          else
            state
            // {
              layers = {
                ${record.source} = node;
              }
              // state.layers;
            }
        # Behind a rollback, on the way to the record that it names.
        else if state.to != null && id > state.to then
          state
        # It does nothing, whatever it is.
        else if state.rejected ? ${toString id} then
          state // { to = null; }
        else if record ? reject then
          state
          // {
            to = null;
            rejected = state.rejected // {
              ${toString record.reject} = true;
            };
          }
        else if record ? rollback then
          state // { to = record.rollback; }
        else
          state
          // {
            to = null;
            kept = {
              inherit node;
              next = state.kept;
            };
          }
      )
      {
        to = null;
        rejected = { };
        kept = null;
        layers = { };
      }
      all;

  # A tree of overrides: { below = { NAME = tree; }; } or { value, id }. Updates are strict along the path that they
  # touch, so that a log of many records leaves no deep chain of them.
  empty = {
    below = { };
  };

  isEmpty = tree: tree ? below && tree.below == { };

  # Within a replaced attribute set.
  putIn =
    path: value: attributes:
    if path == [ ] then
      value
    else
      let
        name = head path;
        under = attributes.${name} or { };
        next = putIn (tail path) value (if isPlainSet under then under else { });
      in
      seq next (attributes // { ${name} = next; });

  put =
    path: value: id: tree:
    if path == [ ] then
      { inherit value id; }
    else if tree ? value && isPlainSet tree.value then
      {
        value = putIn path value tree.value;
        inherit id;
      }
    else
      let
        name = head path;
        below = tree.below or { };
        next = put (tail path) value id (below.${name} or empty);
      in
      seq next {
        below = below // {
          ${name} = next;
        };
      };

  removeIn =
    path: attributes:
    let
      name = head path;
    in
    if !(isPlainSet attributes && attributes ? ${name}) then
      attributes
    else if tail path == [ ] then
      removeAttrs attributes [ name ]
    else
      attributes // { ${name} = removeIn (tail path) attributes.${name}; };

  remove =
    path: tree:
    if path == [ ] then
      empty
    else if tree ? value then
      tree // { value = removeIn path tree.value; }
    else
      let
        name = head path;
        next = remove (tail path) (tree.below.${name} or empty);
      in
      if isEmpty next then
        { below = removeAttrs tree.below [ name ]; }
      else
        seq next {
          below = tree.below // {
            ${name} = next;
          };
        };

  # Every leaf of a set is put at its path. An attribute set that holds none sets nothing.
  set =
    path: value: id: tree:
    if isPlainSet value then
      foldl' (tree: name: set (path ++ [ name ]) value.${name} id tree) tree (attrNames value)
    else
      put path value id tree;

  apply =
    tree: id: record:
    if record ? set then
      set [ ] record.set id tree
    else if record ? replace then
      put record.replace.path record.replace.value id tree
    else if record ? unset then
      remove record.unset tree
    else
      throw "dynix: record ${toString id} has none of set, replace, unset, rollback and reject";

  foldFrom =
    tree: kept:
    # A loop rather than recursion: the list is as long as the log.
    (lib.last (genericClosure {
      startSet = [
        {
          key = 0;
          inherit tree kept;
        }
      ];
      operator =
        {
          key,
          tree,
          kept,
        }:
        if kept == null then
          [ ]
        else
          let
            next = apply tree kept.node.id kept.node.record;
          in
          seq next [
            {
              key = key + 1;
              tree = next;
              kept = kept.next;
            }
          ];
    })).tree;

  leaves =
    path: tree:
    if tree ? value then
      [
        {
          inherit path;
          inherit (tree) value id;
        }
      ]
    else
      lib.concatMap (name: leaves (path ++ [ name ]) tree.below.${name}) (attrNames tree.below);

  # The layers of the sources in their order, with the host's own overrides among them: each on top of those before it.
  around =
    own: layers:
    { below, above }:
    let
      of =
        name: if layers ? ${name} then set [ ] layers.${name}.record.set layers.${name}.id empty else empty;
      cover =
        tree: top:
        foldl' (
          tree:
          {
            path,
            value,
            id,
          }:
          put path value id tree
        ) tree (leaves [ ] top);
    in
    if layers == { } then own else foldl' cover empty (map of below ++ [ own ] ++ map of above);

  # Below every priority that a configuration has, the newest record the lowest.
  define =
    tree:
    if tree ? value then lib.mkOverride (-tree.id) tree.value else lib.mapAttrs (_: define) tree.below;
in
rec {
  # The tree of overrides after all records of a log.
  #
  # `log`: a path, or the function that the file holds; `arguments`: what it gets besides `overrides` (config, lib, pkgs).
  # `until` plays no part: once it has passed, dynix records a `reject`.
  # `sources`: the names of the sources whose layers are below the host's own overrides, and above them, the lowest first.
  fold =
    {
      log,
      arguments ? { },
      sources ? {
        below = [ ];
        above = [ ];
      },
    }:
    let
      function = if builtins.isFunction log then log else import log;
      holds = holding (records function arguments);
    in
    around (foldFrom empty holds.kept) holds.layers sources;

  # The overrides that hold: a list of { path, value, id }, in the order of their paths.
  overrides = log: leaves [ ] (fold log);

  # A module that gives each overridden option its value, at a priority below every other.
  toModule = log: {
    _file = if builtins.isFunction log.log then "the override log" else toString log.log;
    config = define (fold log);
  };
}
