"""Random JSON values that are hostile on purpose; what a format needs of them is in its file under tools/."""

import random

STRINGS = """
~ null Null NULL true True TRUE false yes Yes YES no No NO on On ON off OFF y Y n N t f nULL tRue .inf -.inf +.inf .Inf
.nan .NaN inf nan NaN 0 -0 +0 00 007 017 018 0o17 0o18 0x1F 0xg 0b101 0b2 1_000 _1 1_ +1 -1 1. .5 -.5 +.5 ._ 1.5 1e3 1E3
1e+3 1e-3 1.e5 1.5e5 1.5e+5 .5e5 .5e+5 -_ +_ - + . .. ... --- 12:30 12:30:45 12:60 190:20:30 1:2:3.4 12:30.5 0:0 08:30
2020-01-01 2020-1-1 2020-01-01T10:00:00Z 2020-01-01t1:00:00.5-05:30 2020-01-0110:00:00 << = ! & * !x &x *x !! ? : - a
?x :x -x %x @x `x` # #x x# | |x > >x [x] {x} [ ] { } , a,b a:b a: :a "q" 'q' ' " it's "" '' \\ C:\\path\\x \\n $x ${HOME} $(x) %d
é ünïcødé 日本語 😀 \ufeff \u200b \ufffd \U0010fffe \ue000 \x01 \x1b \x7f \x80 \x9f
/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-x/bin http://[::1]:8080/?a=b&c=d user@host:~/x --flag=x
""".split()
STRINGS += [
    "\t", "\r", "\u00a0", "\x85", "\u2028", "\u2029", "a\x85b", "a\u2028", "", " ", "  ", " lead", "trail ", "a b", "a  b", "a: b", "a :b", "a #b", "a# b", "- a", "? a", ": a", "---a", "--- a", "... a",
    "a\tb", "\ta", "a\t", "a\nb", "a\n", "\na", "\n", "\n\n", "a\n\nb", "a\n b", "a \nb", "a\n\n", " \n", "\n ", "\r\n", "a\r\nb",
    "key = value", "[s]\nk=v", "; semi", "a\\", "a\\\\", "x" * 79, "x" * 81, "x" * 200, "é" * 90, "end:", "end#",
    '"""', "'''", '""""', "a\"'b", "a\"'\"\"b", "'''\"\"\"", "a\"\nb'", "a\\\nb", "a\"\"\"\nb", "tab\t\"q\"", "trail\"\n\"",
]  # fmt: skip
ALPHABET = "abcxyz019 .,:;-_=+/\\'\"#!?&*%@$^~`<>|()[]{}\n\té日😀\u2028\x85\x01\x7f"
FLOATS = [0.0, -0.0, 0.5, 1.0, -2.5, 3.141, 100.0, 1e14, 1e15, 1e16, 1e17, 1e20, 1e100, 1.5e300, 1e-4, 1e-5, 1.25e-5, 1e-6, 1e-7]
FLOATS += [5e-324, 1.7976931348623157e308, 123456789.125, 0.1, 1 / 3, 2.5e-10, 9007199254740993.0, 12345678901234567890.0]
INTEGERS = [0, 1, -1, 10, 8080, -300, 2**31, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]


class Documents:
    """Random values that are hostile on purpose."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def text(self):
        kind = self.random.random()
        if kind < 0.55:
            return self.random.choice(STRINGS)
        if kind < 0.75:
            return "".join(self.random.choices(ALPHABET, k=self.random.randint(1, 12)))
        if kind < 0.9:
            words = self.random.choices(["word", "a", "it's", '"q"', "é", "-", "b:", "#c", "x" * 30, "/a/b", "1", ""], k=self.random.randint(2, 60))
            return " ".join(words)
        if kind < 0.95:
            return "".join(self.random.choices(ALPHABET, k=self.random.randint(60, 300)))
        return "\n".join(self.random.choices(STRINGS, k=self.random.randint(2, 5)))

    def name(self):
        kind = self.random.random()
        if kind < 0.5:
            return self.random.choice(["a", "b", "key", "log-level", "max_jobs", "Z9", "x1", "workers", "settings"])
        if kind < 0.97:
            return self.random.choice(STRINGS)
        return self.text()[:150]

    def scalar(self, nulls=True):
        kind = self.random.random()
        if kind < 0.6:
            return self.text()
        if kind < 0.75:
            return self.random.choice(INTEGERS) if self.random.random() < 0.5 else self.random.randint(-(2**63), 2**63 - 1)
        if kind < 0.85:
            return self.random.choice(FLOATS) if self.random.random() < 0.7 else self.random.uniform(-1e6, 1e6)
        if kind < 0.95 or not nulls:
            return self.random.random() < 0.5
        return None

    def value(self, depth, nulls=True):
        kind = self.random.random()
        if depth <= 0 or kind < 0.5:
            return self.scalar(nulls)
        if kind < 0.72:
            return [self.value(depth - 1, nulls) for _ in range(self.size())]
        if kind < 0.77:
            return [self.attrs(depth - 1, nulls) for _ in range(self.size())]
        return self.attrs(depth - 1, nulls)

    def size(self):
        return self.random.choice([0, 1, 1, 2, 2, 3, 5, 7])

    def attrs(self, depth, nulls=True, value=None):
        value = value or (lambda: self.value(depth, nulls))
        # Nix gives attributes in the order of their names' bytes.
        attrs = {self.name(): value() for _ in range(self.size())}
        return dict(sorted(attrs.items(), key=lambda item: item[0].encode()))

    def document(self):
        """A whole one of a format that says all of JSON: mostly attributes, sometimes any value."""
        if self.random.random() < 0.1:
            return self.value(2)
        return self.attrs(self.random.randint(1, 5))
