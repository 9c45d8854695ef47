"""jq over what Nix's toJSON gives, as pkgs.formats.json does."""

import tempfile

import readers

from . import Comparison
from .nix import in_nix_root, nix


def jq(cases):
    texts = "".join(f"\x1e{case['text']}\n" for case in nix(cases))
    with tempfile.TemporaryDirectory() as directory:
        out = in_nix_root(directory, ["jq", "--seq", "."], texts.encode()).decode()
    # --seq has a record separator before each document, on either side; in strings it would be escaped.
    return [{"text": text} for text in out.split("\x1e")[1:]]


COMPARISONS = {
    "json": Comparison(jq, lambda documents: ({}, documents.document()), readers.plain_json),
    "hcl1": Comparison(jq, lambda documents: ({}, documents.attrs(4)), readers.hcl1),
}
