#!/usr/bin/env python3
"""The licence gate of `make test`: every crate that is built has a licence that deny.toml allows, none that it
bans, and comes from the crate registry.

Why not cargo-deny itself: it is not on a CI machine, and compiling it takes minutes of two cores on every new
one. What this does not do, and `make deny` does: read the licence files inside the crates. This one believes the
`license` field of each manifest. Advisories are `make advisories`.
"""
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def allowed(expression: str, allow: set[str]) -> bool:
    """Whether an SPDX expression can be met with the allowed licences: OR needs one side, AND both.

    `A WITH exception` is a licence of its own and must be listed as such. `A/B` is the old spelling of OR.
    """
    tokens = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))
    position = 0

    def peek() -> str | None:
        return tokens[position] if position < len(tokens) else None

    def take() -> str:
        nonlocal position
        if position >= len(tokens):
            raise ValueError("it ends too early")
        position += 1
        return tokens[position - 1]

    def either() -> bool:
        met = both()
        while peek() == "OR":
            take()
            met = both() or met
        return met

    def both() -> bool:
        met = one()
        while peek() == "AND":
            take()
            met = one() and met
        return met

    def one() -> bool:
        token = take()
        if token == "(":
            met = either()
            if take() != ")":
                raise ValueError("a bracket is not closed")
            return met
        if token in ("OR", "AND", "WITH", ")"):
            raise ValueError(f"{token} where a licence belongs")
        if peek() == "WITH":
            take()
            token = f"{token} WITH {take()}"
        return token in allow

    met = either()
    if peek() is not None:
        raise ValueError(f"{peek()} after its end")
    return met


def built_crates(target: str) -> dict[str, str]:
    """`name vVERSION` → licence, of everything that the workspace builds or tests with on this target.

    `cargo tree` and not `cargo metadata`: the latter names optional crates that no feature switches on.
    """
    lines = subprocess.run(
        ["cargo", "tree", "--workspace", "--locked", "--quiet", "--target", target]
        + ["--edges", "normal,build,dev", "--prefix", "none", "--format", "{p}|{l}"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()
    crates = {}
    for line in filter(None, lines):
        package, _, licence = line.removesuffix(" (*)").rpartition("|")
        crates[" ".join(package.split()[:2])] = licence.strip()
    return crates


def brought_by(name: str) -> set[str]:
    """The crates that depend on `name` themselves."""
    lines = subprocess.run(
        ["cargo", "tree", "--workspace", "--locked", "--quiet", "--invert", name, "--depth", "1"]
        + ["--edges", "normal,build,dev", "--prefix", "depth", "--format", " {p}"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()
    return {line.split()[1] for line in lines if line.startswith("1 ")}


def main() -> int:
    policy = tomllib.loads((ROOT / "deny.toml").read_text())
    allow = set(policy["licenses"]["allow"])
    banned = {entry["crate"]: entry for entry in policy["bans"]["deny"]}
    faults, crates = [], {}
    for target in policy["graph"]["targets"]:
        crates |= built_crates(target)
    for crate, licence in sorted(crates.items()):
        name = crate.split()[0]
        entry = banned.get(name)
        # As cargo-deny has it: `wrappers` may bring what nobody else may.
        if entry and not ("wrappers" in entry and brought_by(name) <= set(entry["wrappers"])):
            faults.append(f"{crate}: banned ({entry['reason']}); `cargo tree -i {name}` shows who brings it")
        try:
            if not licence:
                faults.append(f"{crate}: names no licence")
            elif not allowed(licence, allow):
                faults.append(f"{crate}: licence {licence!r} is not allowed by deny.toml")
        except ValueError as error:
            faults.append(f"{crate}: licence {licence!r} cannot be read: {error}")
    for package in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]:
        source = package.get("source")
        if source and not re.fullmatch(r"registry\+.*/crates\.io-index", source):
            faults.append(f"{package['name']} v{package['version']}: from {source}, not from the crate registry")
    if len(crates) < 20:
        faults.append(f"only {len(crates)} crates seen: `cargo tree` did not list the tree")
    for fault in faults:
        print(f"licences: {fault}", file=sys.stderr)
    print(f"licences: {len(crates)} crates, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
