"""The modules below `twisted/plugins` on Python's path that may have factories of ours."""

from __future__ import annotations

import pkgutil

import twisted.plugins

__all__ = ["plugin_modules"]

# What Twisted and imgforge bring, none of it a factory: to import it takes 1 MB and 20 ms.
_BUNDLED = frozenset(
    {
        *(f"cred_{name}" for name in ("anonymous", "file", "memory", "sshkeys", "unix")),
        *(f"twisted_{name}" for name in ("conch", "core", "ftp", "inet", "mail", "names", "portforward", "reactors")),
        *(f"twisted_{name}" for name in ("runner", "socks", "trial", "web", "words")),
        "imgforge_plugin",
    }
)


def plugin_modules() -> list[str]:
    """Their full names, sorted, without those that Twisted and imgforge bring."""
    found = {module.name for module in pkgutil.iter_modules(twisted.plugins.__path__)}
    return [f"{twisted.plugins.__name__}.{name}" for name in sorted(found - _BUNDLED)]
