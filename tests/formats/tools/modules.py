"""Formats that a NixOS module writes itself, with the few lines of that module; see generators.nix."""

from . import Comparison
from .nix import nix


def plain(documents):
    """A scalar that is not null."""
    return documents.scalar(nulls=False)


def strings(documents):
    return [documents.text() for _ in range(documents.size())]


def one_of(documents, *makers):
    return documents.random.choice(makers)(documents)


def whole(documents):
    """A string, an integer or a boolean, or nothing."""
    value = documents.scalar()
    return int(value) if isinstance(value, float) and abs(value) < 2**62 else 5 if isinstance(value, float) else value


def sshd_conf(documents):
    value = documents.attrs(0, value=lambda: whole(documents))
    for name in ["Ciphers", "Macs", "AllowUsers", "AuthorizedKeysFile"]:
        if documents.random.random() < 0.3:
            value[name] = strings(documents)
    if documents.random.random() < 0.1:
        value["AcceptEnv"] = strings(documents)
    return {}, ordered(value)


def ordered(value):
    """In the order in which Nix gives attributes."""
    return dict(sorted(value.items(), key=lambda item: item[0].encode()))


def postgresql_conf(documents):
    return {}, documents.attrs(0, value=documents.scalar)


def postfix_conf(documents):
    return {}, documents.attrs(0, value=lambda: one_of(documents, lambda d: d.scalar(), strings))


def unbound_conf(documents):
    def values():
        return documents.attrs(0, value=lambda: one_of(documents, plain, lambda d: [plain(d) for _ in range(d.size())]))

    section = lambda documents: values()
    value = documents.attrs(0, value=lambda: one_of(documents, section, lambda d: d.text(), lambda d: [values() for _ in range(d.size())]))
    server = values()
    server["define-tag"] = documents.random.choice(["", documents.text()])
    return {}, ordered(value | {"server": ordered(server)})


def knot_conf(documents):
    def values(depth=1):
        lists = lambda documents: [documents.scalar() for _ in range(documents.size())]
        makers = [lambda documents: documents.scalar(), lists]
        if depth:
            makers.append(lambda documents: values(depth - 1))
        return documents.attrs(0, value=lambda: one_of(documents, *makers))

    value = {}
    for name in ["server", "control", "statistics", "database", "include"]:
        if documents.random.random() < 0.3:
            value[name] = documents.text() if name == "include" else values()
    for name, first in [("log", "target"), ("key", "id"), ("remote", "id"), ("mod-rrl", "id"), ("template", "id"), ("zone", "domain")]:
        if documents.random.random() < 0.4:
            if documents.random.random() < 0.5:
                value[name] = [ordered(values() | {first: documents.text()}) for _ in range(documents.size())]
            else:
                value[name] = documents.attrs(0, value=values)
    if documents.random.random() < 0.05:
        value["sever"] = values()
    return {}, ordered(value)


def dovecot_conf(documents):
    def section(depth):
        makers = [lambda d: whole(d), strings] + [lambda d: section(depth - 1)] * bool(depth)
        value = documents.attrs(0, value=lambda: one_of(documents, *makers))
        if documents.random.random() < 0.5:
            value["_section"] = {"name": documents.random.choice([None, documents.text()]), "type": documents.text()}
        return ordered(value)

    several = lambda documents: [section(1) for _ in range(1 + documents.size())]
    value = documents.attrs(0, value=lambda: one_of(documents, whole, strings, lambda d: section(2), several))
    for name in ["dovecot_config_version", "dovecot_storage_version"]:
        if documents.random.random() < 0.5:
            value[name] = documents.random.choice([None, "2.4.1"])
    return {}, ordered(value)


COMPARISONS = {
    "sshdConf": Comparison(nix, sshd_conf),
    "postgresqlConf": Comparison(nix, postgresql_conf),
    "postfixConf": Comparison(nix, postfix_conf),
    "unboundConf/define-tag": Comparison(nix, unbound_conf),
    "unboundConf/plain": Comparison(nix, unbound_conf),
    "dovecotConf": Comparison(nix, dovecot_conf),
    "knotConf": Comparison(nix, knot_conf),
}
